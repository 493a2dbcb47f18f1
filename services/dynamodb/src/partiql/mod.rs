//! PartiQL: statements as plans over items.
