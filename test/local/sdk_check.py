"""Drives the official Python SDK against the server named by the environment, and ends with OK."""
import json
import os
import sys
import tempfile
import time

from infino_sdk import InfinoError, InfinoSDK

sdk = InfinoSDK(os.environ["INFINO_ACCESS_KEY"], os.environ["INFINO_SECRET_KEY"], os.environ["INFINO_ENDPOINT"])
name = "sdk_products"


def equal(got, expected):
    if got != expected:
        raise SystemExit(f"expected {expected!r}, got {got!r}")


def total(query):
    return sdk.query_dataset_in_querydsl(name, json.dumps({"query": query}))["hits"]["total"]["value"]


equal(sdk.create_dataset(name)["acknowledged"], True)
equal(sdk.create_dataset(name), {"acknowledged": True, "index": name})

categories = ["electronics", "home", "used", "electronics", "home"]
lines = []
for i in range(10):
    lines.append(json.dumps({"index": {"_id": str(i)}}))
    lines.append(
        json.dumps({"name": f"Produkt {i} ü", "category": categories[i % 5], "price": 5.5 + 10 * i, "in_stock": i % 2 == 0})
    )
reply = sdk.upload_json_to_dataset(name, "\n".join(lines))
equal(reply["errors"], False)
equal([item["index"]["status"] for item in reply["items"]], [201] * 10)
reply = sdk.upload_json_to_dataset(name, '{"update":{"_id":"3"}}\n{"doc":{"in_stock":true}}\n{"delete":{"_id":"9"}}\n{"index":{}}\n{"broken"\n')
equal([list(item.values())[0]["status"] for item in reply["items"]], [200, 200, 400])

metadata = sdk.get_dataset_metadata(name)
equal((metadata["index"], metadata["status"], metadata["docs.count"]), (name, "open", "9"))
equal(name in [one["index"] for one in sdk.get_datasets()], True)
equal(sdk.get_dataset_schema(name)["price"]["infino_type"], "Float")
equal(sdk.get_record(name, "3")["_source"]["in_stock"], True)

equal(total({"match_all": {}}), 9)
equal(total({"term": {"category": "electronics"}}), 4)
equal(total({"match": {"name": "produkt"}}), 9)
cheap = sdk.query_dataset_in_querydsl(name, '{"query":{"range":{"price":{"gte":10,"lte":50}}},"sort":[{"price":"asc"}]}')
equal([hit["_id"] for hit in cheap["hits"]["hits"]], ["1", "2", "3", "4"])
equal(total({"bool": {"must": [{"term": {"in_stock": True}}], "filter": [{"range": {"price": {"lte": 50}}}], "must_not": [{"term": {"category": "used"}}]}}), 3)
buckets = sdk.query_dataset_in_querydsl(name, '{"size":0,"aggs":{"c":{"terms":{"field":"category.keyword","size":10}}}}')
equal([(b["key"], b["doc_count"]) for b in buckets["aggregations"]["c"]["buckets"]], [("electronics", 4), ("home", 3), ("used", 2)])

answer = sdk.query_dataset_in_sql(f"SELECT category, count(*) AS n, max(price) AS p FROM {name} GROUP BY 1 ORDER BY n DESC LIMIT 1")
equal(answer["rows"], [{"values": {"category": {"String": "electronics"}, "n": {"Integer": 4}, "p": {"Float": 85.5}}}])
equal(sdk.delete_records(name, '{"query":{"term":{"category":"used"}}}'), 2)

rows = [{"id": 1, "name": "Alice", "salary": 75000}, {"id": 2, "name": "Bob", "salary": 65000.5}]
with tempfile.TemporaryDirectory() as directory:
    paths = {kind: os.path.join(directory, f"people.{kind}") for kind in ("json", "jsonl", "csv")}
    with open(paths["json"], "w") as file:
        json.dump(rows, file)
    with open(paths["jsonl"], "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    with open(paths["csv"], "w") as file:
        file.write("id,name,salary\n" + "".join(f"{row['id']},{row['name']},{row['salary']}\n" for row in rows))
    for kind, path in paths.items():
        result = sdk.upload_file(dataset=name, file_path=path, format=kind, batch_size=10)
        equal((result["status"], result["stats"]["documents_processed"]), ("completed", 2))
    run = sdk.upload_file(dataset=name, file_path=paths["json"], async_mode=True)
    equal(run["status"], "submitted")
    deadline = time.time() + 20
    job = sdk.get_connector_job_status(run["run_id"])
    while job["status"] not in ("completed", "failed") and time.time() < deadline:
        job = sdk.get_connector_job_status(run["run_id"])
    equal((job["status"], job["stats"]["documents_processed"]), ("completed", 2))
answer = sdk.query_dataset_in_sql(f"SELECT count(*) AS n, sum(salary) AS s FROM {name} WHERE salary IS NOT NULL")
equal(answer["rows"], [{"values": {"n": {"Integer": 8}, "s": {"Float": 560002}}}])

for call, status in (
    (lambda: sdk.get_record(name, "none"), 404),
    (lambda: sdk.query_dataset_in_sql("SELEC 1"), 400),
    (lambda: sdk.get_dataset_metadata("nowhere"), 404),
    (lambda: InfinoSDK("x", "y", sdk.endpoint).get_datasets(), 401),
    (lambda: InfinoSDK("", "", sdk.endpoint).get_datasets(), 401),
    (lambda: InfinoSDK(sdk.access_key, "wrong", sdk.endpoint).get_datasets(), 401),
    (lambda: sdk.upload_json_to_dataset(name, '{"index":{}}\n{"pad":"' + "x" * 5_000_000 + '"}'), 413),
):
    try:
        call()
    except InfinoError as error:
        equal(error.status_code(), status)
        equal(json.loads(error.message)["status"], status)
    else:
        raise SystemExit(f"expected status {status}")

# Odd paths and queries, as the SDK signs them.
sdk.upload_json_to_dataset(name, '{"index":{"_id":"ü b;c+d"}}\n{"odd":true}\n{"index":{"_id":"plus+"}}\n{"odd":true}')
equal(sdk.get_record(name, "ü b;c+d")["_source"], {"odd": True})
equal(sdk.get_record(name, "plus+")["_source"], {"odd": True})
equal(sdk.get_record(name, "%C3%BC%20b%3Bc%2Bd")["_source"], {"odd": True})
equal(sdk.request("GET", f"{sdk.endpoint}/metadata", params={"limit": 5, "q": "a b"})[0]["index"], name)

equal(sdk.delete_dataset(name), {"acknowledged": True})
print("OK")
sys.exit(0)
