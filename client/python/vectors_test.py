#!/usr/bin/python3
"""vectors_test.py - the Python client reads what proto/vectors.json calls good, and refuses the
rest.

usage: client/python/vectors_test.py [VECTORS]
"""
import json
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import longboat_wire as lb  # noqa: E402

PATH = os.path.join(HERE, "../../proto/vectors.json")


class Vectors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(PATH, encoding="utf-8") as f:
            cls.all = json.load(f)
        cls.now, cls.cluster = cls.all["now"], cls.all["cluster"]
        cls.key = {name: bytes.fromhex(k["sign"]) for name, k in cls.all["keys"].items()}
        cls.good = {v["name"]: bytes.fromhex(v["hex"]) for v in cls.all["good"]}

    def each(self, part):
        return [(v, bytes.fromhex(v.get("hex", ""))) for v in self.all[part]]

    def test_keys_are_derived_from_their_seeds(self):
        for name, k in self.all["keys"].items():
            key = lb.nacl.signing.SigningKey(bytes.fromhex(k["seed"]))
            self.assertEqual(bytes(key.verify_key).hex(), k["sign"], name)
            self.assertEqual(bytes(key.to_curve25519_private_key().public_key).hex(),
                             k["transport"], name)

    def test_good_ones_are_read_and_pack_to_themselves(self):
        for v, data in self.each("good"):
            if v["is"] in ("document", "message", "signed call", "signed certificate",
                           "signed invitation", "signed checkpoint"):
                self.assertEqual(lb.pack(*lb.unpack(data)), data)
            if v["is"].startswith("signed "):
                lb.open_signed(v["is"].split()[1], data)
            if v["is"] == "signed certificate":
                lb.verify_certificate(data, [self.key["administrator"]], self.cluster, self.now)
            if v["is"] == "frame":
                for item in lb.unpack_all(data):
                    lb.check_form(item)

    def test_ill_formed_ones_are_refused(self):
        for v, data in self.each("ill_formed"):
            with self.assertRaises(lb.LongboatError, msg=v["name"]):
                lb.unpack(data)

    def test_wrongly_signed_ones_are_refused(self):
        for v, data in self.each("wrongly_signed"):
            self.assertEqual(lb.unpack(data)[0], lb.D_SIGNED)  # its form is good
            with self.assertRaises(lb.LongboatError, msg=v["name"]):
                lb.open_signed(v["kind"], data, self.key["anna"])

    def test_certificates_that_are_not_to_be_believed_are_refused(self):
        for v, data in self.each("bad_certificates"):
            with self.assertRaises(lb.LongboatError, msg=v["name"]):
                lb.verify_certificate(data, [self.key["administrator"]], self.cluster, self.now)

    def test_results_are_believed_if_their_server_signed_them(self):
        call = lb.unpack(self.good["d_call"])
        for v in self.all["results"]:
            data, signature = bytes.fromhex(v["outcome"]), bytes.fromhex(v["signature"])
            try:
                lb.check_outcome(lb.unpack(data))
                if not signature and lb.needs_signature(lb.unpack(data)):
                    raise lb.LongboatError("no signature")
                lb.verify_result(signature,
                                 lb.verify_certificate(bytes.fromhex(v["certificate"]),
                                                       [self.key["administrator"]], self.cluster,
                                                       self.now),
                                 self.cluster, v["server"], bytes.fromhex(v["run"]), v["attempt"],
                                 lb.blake(self.good["d_call"]), data, call[4], call[7])
                verdict = "good"
            except lb.LongboatError:
                verdict = "bad"
            self.assertEqual(verdict, v["verdict"], v["name"])

    def test_only_the_key_itself_may_ask_for_its_certificate(self):
        certificate = self.good["certificate of anna"]
        lb.check_possession(self.good["possession of anna's key"], certificate)
        self.assertEqual(lb.unpack(self.good["ENROL of anna"])[2:],
                         [certificate, self.good["possession of anna's key"]])
        for v, data in self.each("bad_possessions"):
            with self.assertRaises(lb.LongboatError, msg=v["name"]):
                lb.check_possession(data, certificate)

    def test_a_batch_of_three_has_these_proofs(self):
        calls = [self.good[n] for n in ("d_call", "d_call, the second of a batch of three",
                                        "d_call, the third of a batch of three")]
        key = lb.nacl.signing.SigningKey(bytes.fromhex(self.all["keys"]["anna"]["seed"]))
        made = lb.sign_calls(key, "anna", 7, calls)
        self.assertEqual(made, [self.good[f"d_signed of the {w} of the batch of three"]
                                for w in ("first", "second", "third")])

    def test_a_session_takes_frames_in_order_and_nothing_else(self):
        for v, _ in self.each("sequences"):
            session = lb.Session(self.all["session"])
            session.frame(lb.pack(lb.PING, 1))  # in the place of HELLO
            for f in v["frames"]:
                self.assertEqual(self.verdict(session, bytes.fromhex(f["hex"])), f["verdict"],
                                 v["name"])

    @staticmethod
    def verdict(session, data):
        before = session.received
        try:
            messages = session.take(data)
        except lb.LongboatError:
            return "malformed"
        if messages is None:
            return "gap"
        if messages:
            return "taken" if session.received > before else "last_word"
        return "nothing" if lb.unpack_all(data)[0][1] == session.id else "foreign"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        PATH = sys.argv.pop(1)
    unittest.main()
