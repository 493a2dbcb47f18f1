"""Account Management through boto3: regions and contacts."""
import pytest
from botocore.exceptions import ClientError


def refused(call, **kw):
    with pytest.raises(ClientError) as caught:
        call(**kw)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_regions(client):
    account = client("account")
    regions = {r["RegionName"]: r["RegionOptStatus"] for r in account.list_regions()["Regions"]}
    assert regions["us-east-1"] == "ENABLED_BY_DEFAULT" and regions["af-south-1"] == "DISABLED"
    account.enable_region(RegionName="af-south-1")
    assert account.get_region_opt_status(RegionName="af-south-1")["RegionOptStatus"] == "ENABLED"
    listed = account.list_regions(RegionOptStatusContains=["ENABLED"])["Regions"]
    assert listed == [{"RegionName": "af-south-1", "RegionOptStatus": "ENABLED"}]
    pages = list(account.get_paginator("list_regions").paginate(PaginationConfig={"PageSize": 10}))
    assert sum(len(page["Regions"]) for page in pages) == len(regions) and len(pages) == 4
    assert refused(account.disable_region, RegionName="us-east-1")[0] == "ValidationException"


def test_contacts_and_name(client, account):
    service = client("account")
    assert refused(service.get_alternate_contact, AlternateContactType="BILLING") == (
        "ResourceNotFoundException", "No contact of the inputted alternate contact type found.")
    contact = dict(AlternateContactType="BILLING", Name="Ann", Title="CFO", EmailAddress="a@example.com",
                   PhoneNumber="+123")
    service.put_alternate_contact(**contact)
    assert service.get_alternate_contact(AlternateContactType="BILLING")["AlternateContact"] == contact
    service.delete_alternate_contact(AlternateContactType="BILLING")
    primary = dict(FullName="Ann", AddressLine1="1 Way", City="Town", PostalCode="1", CountryCode="US",
                   PhoneNumber="+1 555 0100")
    service.put_contact_information(ContactInformation=primary)
    assert service.get_contact_information()["ContactInformation"] == primary
    service.put_account_name(AccountName="payments")
    got = service.get_account_information()
    assert (got["AccountId"], got["AccountName"], got["AccountState"]) == (account, "payments", "ACTIVE")
    assert refused(service.list_regions, AccountId="999999999999")[0] == "AccessDeniedException"
