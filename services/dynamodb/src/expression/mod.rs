//! Expressions: what a condition, a filter, a key condition, a projection and an update say about an item.
