"""The example API over what either gateway hands it."""

import json
import unittest

from app import handler

CONTEXT = {"user_id": "7", "username": "ada", "email": "", "level": "aal2", "methods": "pwd otp", "session_id": "x"}


class Orders(unittest.TestCase):
    def test_both_gateways_tell_whose_request_it_is(self):
        for authorizer in ({"lambda": CONTEXT}, {"principalId": "7", **CONTEXT}):
            answer = handler({"requestContext": {"authorizer": authorizer}}, None)
            self.assertEqual(200, answer["statusCode"])
            self.assertEqual("ada", json.loads(answer["body"])["of"])


if __name__ == "__main__":
    unittest.main()
