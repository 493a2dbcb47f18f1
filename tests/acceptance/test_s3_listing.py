"""Lists of objects, versions and uploads: prefixes, delimiters, markers, encodings, limits."""
import pytest

from s3_help import code, refusal, refused, signed

KEYS = ["asdf", "boo/bar", "boo/baz/xyzzy", "cquux/thud", "cquux/bla"]


@pytest.fixture(scope="module")
def s3(cloud):
    return cloud.client("s3")


@pytest.fixture
def filled(s3, unique):
    def make(keys, name=None):
        name = name or unique("b")
        s3.create_bucket(Bucket=name)
        for key in keys:
            s3.put_object(Bucket=name, Key=key, Body=key.encode())
        return name
    return make


def shown(page):
    return ([o["Key"] for o in page.get("Contents", [])], [p["Prefix"] for p in page.get("CommonPrefixes", [])])


@pytest.mark.parametrize("call", ["list_objects", "list_objects_v2"])
def test_empty_buckets(s3, filled, call):
    page = getattr(s3, call)(Bucket=filled([]))
    assert shown(page) == ([], []) and page["IsTruncated"] is False and page["MaxKeys"] == 1000
    assert page["Prefix"] == "" and "Delimiter" not in page and page["EncodingType"] == "url"
    if call == "list_objects":
        assert page["Marker"] == "" and "NextMarker" not in page
    else:
        assert page["KeyCount"] == 0 and "StartAfter" not in page and "ContinuationToken" not in page


@pytest.mark.parametrize("call", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("keys, asked, expected", [
    (["foo/bar", "foo/bar/xyzzy", "quux/thud", "asdf"], {"Delimiter": "/"}, (["asdf"], ["foo/", "quux/"])),
    (["bar", "baz", "cab", "foo"], {"Delimiter": "a"}, (["foo"], ["ba", "ca"])),
    (["b%ar", "b%az", "c%ab", "foo"], {"Delimiter": "%"}, (["foo"], ["b%", "c%"])),
    (["b ar", "b az", "c ab", "foo"], {"Delimiter": " "}, (["foo"], ["b ", "c "])),
    (["b.ar", "b.az", "c.ab", "foo"], {"Delimiter": "."}, (["foo"], ["b.", "c."])),
    (["bar", "baz"], {"Delimiter": "\x0a"}, (["bar", "baz"], [])),
    (["bar", "baz"], {"Delimiter": ""}, (["bar", "baz"], [])),
    (["foo/bar", "foo/baz", "quux"], {"Prefix": "foo/"}, (["foo/bar", "foo/baz"], [])),
    (["foo/bar", "foo/baz", "quux"], {"Prefix": "d"}, ([], [])),
    (["foo/bar", "foo/baz/xyzzy", "quux/thud", "asdf"], {"Prefix": "foo/", "Delimiter": "/"}, (["foo/bar"], ["foo/baz/"])),
    (["bar", "bazar", "cab", "foo"], {"Prefix": "ba", "Delimiter": "a"}, (["bar"], ["baza"])),
    (["b/a/c", "b/a/g", "b/a/r", "g"], {"Prefix": "b/", "Delimiter": "z"}, (["b/a/c", "b/a/g", "b/a/r"], [])),
    (["asdf+b", "foo+1/bar", "foo/bar/xyzzy", "quux ab/thud"], {"Delimiter": "/"},
     (["asdf+b"], ["foo+1/", "foo/", "quux ab/"])),
    (["\x0abar", "\x0abaz", "foo"], {"Prefix": "\x0a"}, (["\x0abar", "\x0abaz"], [])),
    (["_obj1_", "_under1/bar", "_under1/baz", "_under2/thud"], {"Delimiter": "/", "Prefix": ""},
     (["_obj1_"], ["_under1/", "_under2/"])),
])
def test_what_a_page_shows(s3, filled, call, keys, asked, expected):
    page = getattr(s3, call)(Bucket=filled(keys), **asked)
    assert shown(page) == expected and page["IsTruncated"] is False
    for name in ("Prefix", "Delimiter"):
        if asked.get(name) and not (name == "Prefix" and call == "list_objects"):
            assert page[name] == asked[name]
    if call == "list_objects_v2":
        assert page["KeyCount"] == len(expected[0]) + len(expected[1])


def test_pages_by_marker(s3, filled):
    bucket = filled(KEYS)
    steps = [("", 1, ["asdf"], [], "asdf"), ("asdf", 1, [], ["boo/"], "boo/"), ("boo/", 1, [], ["cquux/"], None),
             ("", 2, ["asdf"], ["boo/"], "boo/"), ("boo/", 2, [], ["cquux/"], None)]
    for marker, most, keys, prefixes, following in steps:
        page = s3.list_objects(Bucket=bucket, Delimiter="/", Marker=marker, MaxKeys=most)
        assert shown(page) == (keys, prefixes) and page.get("NextMarker") == following
        assert page["IsTruncated"] is (following is not None) and page["Marker"] == marker
    # A marker inside a folder has passed the folder.
    assert shown(s3.list_objects(Bucket=bucket, Delimiter="/", Marker="boo/bar")) == ([], ["cquux/"])
    page = s3.list_objects(Bucket=bucket, MaxKeys=2)
    assert page["IsTruncated"] and "NextMarker" not in page
    assert shown(s3.list_objects(Bucket=bucket, Marker="zzz")) == ([], [])
    assert shown(s3.list_objects(Bucket=bucket, Marker="blah"))[0] == sorted(KEYS)[1:]


def test_pages_by_token(s3, filled):
    bucket = filled(KEYS)
    page = s3.list_objects_v2(Bucket=bucket, Delimiter="/", MaxKeys=1)
    seen = [shown(page)]
    while page["IsTruncated"]:
        token = page["NextContinuationToken"]
        page = s3.list_objects_v2(Bucket=bucket, Delimiter="/", MaxKeys=1, ContinuationToken=token)
        assert page["ContinuationToken"] == token and page["KeyCount"] == 1
        seen.append(shown(page))
    assert seen == [(["asdf"], []), ([], ["boo/"]), ([], ["cquux/"])]
    page = s3.list_objects_v2(Bucket=bucket, StartAfter="boo/bar", MaxKeys=1)
    assert shown(page)[0] == ["boo/baz/xyzzy"] and page["StartAfter"] == "boo/bar"
    # The token wins over where to start.
    page = s3.list_objects_v2(Bucket=bucket, StartAfter="boo/bar", ContinuationToken=page["NextContinuationToken"])
    assert shown(page)[0] == ["cquux/bla", "cquux/thud"] and page["StartAfter"] == "boo/bar"
    for bad in ("", "xyz", "é"):
        answer = refusal(s3.list_objects_v2, Bucket=bucket, ContinuationToken=bad)
        assert answer["Error"]["Code"] == "InvalidArgument"
        assert answer["Error"]["Message"] == "The continuation token provided is incorrect"


@pytest.mark.parametrize("call", ["list_objects", "list_objects_v2", "list_object_versions"])
def test_numbers(cloud, s3, filled, call):
    bucket = filled(["a", "b"])
    page = getattr(s3, call)(Bucket=bucket, MaxKeys=0)
    assert shown(page) == ([], []) and page["IsTruncated"] is False and page["MaxKeys"] == 0
    assert getattr(s3, call)(Bucket=bucket, MaxKeys=5000)["MaxKeys"] == 1000
    answer = refusal(getattr(s3, call), Bucket=bucket, MaxKeys=-1)
    of_versions = call == "list_object_versions"
    assert answer["Error"]["ArgumentName"] == ("max-keys" if of_versions else "maxKeys")
    assert answer["Error"]["ArgumentValue"] == "-1" and (answer["Error"]["Message"] == "max-keys cannot be negative") == of_versions
    query = {"list_objects": "", "list_objects_v2": "list-type=2&", "list_object_versions": "versions&"}[call]
    answer = signed(cloud, "GET", f"/{bucket}?{query}max-keys=blah")
    assert code(answer) == ("InvalidArgument", 400)
    assert b"<ArgumentName>max-keys</ArgumentName><ArgumentValue>blah</ArgumentValue>" in answer[2]
    assert code(signed(cloud, "GET", f"/{bucket}?{query}encoding-type=x")) == ("InvalidArgument", 400)
    assert signed(cloud, "GET", f"/{bucket}?{query}max-keys=")[0] == 200


def test_names_as_they_travel(cloud, s3, filled):
    bucket = filled(["a b", "a+b", "é", "x&<y>"])
    bare = signed(cloud, "GET", f"/{bucket}?list-type=2")[2].decode()
    for name in ("a b", "a+b", "é", "x&amp;&lt;y&gt;"):
        assert f"<Key>{name}</Key>" in bare
    assert "<EncodingType>" not in bare
    encoded = signed(cloud, "GET", f"/{bucket}?list-type=2&encoding-type=url")[2].decode()
    for name in ("a+b", "a%2Bb", "%C3%A9", "x%26%3Cy%3E"):
        assert f"<Key>{name}</Key>" in encoded
    assert "<EncodingType>url</EncodingType>" in encoded


def test_what_is_said_of_each(s3, filled):
    bucket = filled(["k"])
    owner = s3.list_buckets()["Owner"]
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    first = s3.list_objects(Bucket=bucket)["Contents"][0]
    assert first["Owner"] == owner and first["ETag"] == head["ETag"] and first["LastModified"] == head["LastModified"]
    assert (first["Size"], first["StorageClass"]) == (1, "STANDARD")
    assert (first["ChecksumAlgorithm"], first["ChecksumType"]) == (["CRC32"], "FULL_OBJECT")
    assert "Owner" not in s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert "Owner" not in s3.list_objects_v2(Bucket=bucket, FetchOwner=False)["Contents"][0]
    assert s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"][0]["Owner"] == owner
    version = s3.list_object_versions(Bucket=bucket)["Versions"][0]
    assert (version["VersionId"], version["IsLatest"], version["Owner"]) == ("null", True, owner)


def test_order_is_that_of_utf_8(s3, filled):
    keys = ["A", "Z", "a", "z", "é", "日", "\U0001f600", "a/", "a!", "~"]
    bucket = filled(keys)
    assert shown(s3.list_objects_v2(Bucket=bucket))[0] == sorted(keys, key=lambda k: k.encode())


def test_versions_by_page(s3, filled):
    bucket = filled([])
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    expected = []
    for key in ("a", "b", "dir/x"):
        ids = [s3.put_object(Bucket=bucket, Key=key, Body=b"")["VersionId"] for _ in range(2)]
        ids.append(s3.delete_object(Bucket=bucket, Key=key)["VersionId"])
        expected += [(key, version) for version in reversed(ids)]
    seen, more = [], {}
    while True:
        page = s3.list_object_versions(Bucket=bucket, MaxKeys=2, **more)
        entries = page.get("Versions", []) + page.get("DeleteMarkers", [])
        assert len(entries) == 2 or not page["IsTruncated"]
        entries.sort(key=lambda e: expected.index((e["Key"], e["VersionId"])))
        seen += [(e["Key"], e["VersionId"]) for e in entries]
        if not page["IsTruncated"]:
            assert "NextKeyMarker" not in page and "NextVersionIdMarker" not in page
            break
        assert (page["NextKeyMarker"], page["NextVersionIdMarker"]) == seen[-1]
        more = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
    assert seen == expected
    page = s3.list_object_versions(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["dir/"] and len(page["Versions"]) == 4
    page = s3.list_object_versions(Bucket=bucket, KeyMarker="a")
    assert {v["Key"] for v in page["Versions"]} == {"b", "dir/x"} and page["KeyMarker"] == "a"
    assert page["VersionIdMarker"] == "" and page["Prefix"] == ""
    assert refused(s3.list_object_versions, Bucket=bucket, VersionIdMarker="x") == ("InvalidArgument", 400)
    assert refused(s3.list_object_versions, Bucket=bucket, KeyMarker="a", VersionIdMarker="x") == ("InvalidArgument", 400)


def test_uploads_by_page(s3, filled):
    bucket = filled([])
    begun = [(key, s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]) for key in ("a", "a", "b", "d/1", "d/2")]
    page = s3.list_multipart_uploads(Bucket=bucket)
    assert [(u["Key"], u["UploadId"]) for u in page["Uploads"]] == begun
    one = page["Uploads"][0]
    assert one["StorageClass"] == "STANDARD" and one["Owner"]["ID"] == one["Initiator"]["ID"]
    assert (page["KeyMarker"], page["UploadIdMarker"], page["MaxUploads"], page["IsTruncated"]) == ("", "", 1000, False)
    assert (page["NextKeyMarker"], page["NextUploadIdMarker"]) == begun[-1]
    first = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=1)
    assert (first["NextKeyMarker"], first["NextUploadIdMarker"], first["IsTruncated"]) == (*begun[0], True)
    rest = s3.list_multipart_uploads(Bucket=bucket, KeyMarker="a", UploadIdMarker=begun[0][1])
    assert [(u["Key"], u["UploadId"]) for u in rest["Uploads"]] == begun[1:]
    rest = s3.list_multipart_uploads(Bucket=bucket, KeyMarker="a")
    assert [(u["Key"], u["UploadId"]) for u in rest["Uploads"]] == begun[2:]
    folders = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in folders["CommonPrefixes"]] == ["d/"] and len(folders["Uploads"]) == 3
    assert len(s3.list_multipart_uploads(Bucket=bucket, Prefix="d/")["Uploads"]) == 2
