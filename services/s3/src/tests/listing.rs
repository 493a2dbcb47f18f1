use super::*;

fn keys(page: &api::ListObjectsV2Output) -> Vec<String> {
    page.contents.iter().flatten().map(|o| o.key.clone().unwrap()).collect()
}

fn prefixes(page: &api::ListObjectsV2Output) -> Vec<String> {
    page.common_prefixes.iter().flatten().map(|p| p.prefix.clone().unwrap()).collect()
}

#[tokio::test]
async fn order_is_that_of_utf8_bytes() {
    let world = World::with_bucket("order").await;
    let mut names = vec![
        "a",
        "a/",
        "a/b",
        "a0",
        "Z",
        "é",
        "e\u{301}",
        "\u{1F600}",
        "\u{FFFD}",
        "../x",
        "//",
        "a\u{1}",
        "~",
    ];
    for name in &names {
        world.put("order", name, "x").await;
    }
    names.sort_unstable();
    let list = api::ListObjectsV2Input { bucket: "order".into(), ..Default::default() };
    let page = world.call::<op::ListObjectsV2>(list).await.unwrap();
    assert_eq!(keys(&page), names);
    for name in names {
        assert_eq!(world.get("order", name).await.unwrap(), "x", "{name:?}");
    }
}

#[tokio::test]
async fn delimiters_and_pages() {
    let world = World::with_bucket("pages").await;
    for name in ["a/1", "a/2", "b", "c/1", "c/2", "c/3", "d", "e/"] {
        world.put("pages", name, "x").await;
    }
    let list = |token: Option<String>| api::ListObjectsV2Input {
        bucket: "pages".into(),
        delimiter: Some("/".into()),
        max_keys: Some(2),
        continuation_token: token,
        ..Default::default()
    };
    let (mut seen, mut token, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = world.call::<op::ListObjectsV2>(list(token)).await.unwrap();
        let mut both = keys(&page);
        both.extend(prefixes(&page));
        both.sort();
        assert_eq!(page.key_count, Some(both.len() as i32));
        seen.extend(both);
        pages += 1;
        token = page.next_continuation_token;
        assert_eq!(page.is_truncated, Some(token.is_some()));
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["a/", "b", "c/", "d", "e/"]);
    assert_eq!(pages, 3);
    let inside =
        api::ListObjectsV2Input { prefix: Some("c/".into()), start_after: Some("c/1".into()), ..list(None) };
    let page = world.call::<op::ListObjectsV2>(inside).await.unwrap();
    assert_eq!(keys(&page), ["c/2", "c/3"]);
    let none = api::ListObjectsV2Input { max_keys: Some(0), ..list(None) };
    let page = world.call::<op::ListObjectsV2>(none).await.unwrap();
    assert_eq!((keys(&page).len(), page.is_truncated), (0, Some(false)));
    let negative = api::ListObjectsV2Input { max_keys: Some(-1), ..list(None) };
    assert_eq!(code(world.call::<op::ListObjectsV2>(negative).await), "InvalidArgument");
    assert_eq!(code(world.call::<op::ListObjectsV2>(list(Some("?".into()))).await), "InvalidArgument");
}

#[tokio::test]
async fn markers_go_on_where_the_last_page_ended() {
    let world = World::with_bucket("markers").await;
    for name in ["a/1", "b", "c/1", "d"] {
        world.put("markers", name, "x").await;
    }
    let list = |marker: &str| api::ListObjectsInput {
        bucket: "markers".into(),
        delimiter: Some("/".into()),
        max_keys: Some(1),
        marker: Some(marker.into()),
        ..Default::default()
    };
    let mut marker = String::new();
    let mut seen = Vec::new();
    loop {
        let page = world.call::<op::ListObjects>(list(&marker)).await.unwrap();
        seen.extend(page.contents.iter().flatten().map(|o| o.key.clone().unwrap()));
        seen.extend(page.common_prefixes.iter().flatten().map(|p| p.prefix.clone().unwrap()));
        match page.next_marker {
            Some(next) => marker = next,
            None => break,
        }
    }
    assert_eq!(seen, ["a/", "b", "c/", "d"]);
}
