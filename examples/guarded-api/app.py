"""An API that knows who is asking and has no code for finding out."""

import json


def handler(event, _context):
    authorizer = event["requestContext"]["authorizer"]
    # An HTTP API puts the authorizer's context one level deeper than a REST API.
    user = authorizer.get("lambda", authorizer)
    body = {"orders": [], "of": user["username"], "user_id": user["user_id"], "level": user["level"]}
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}
