"""Verify what `twokey audit evidence` handed out: `python verify.py INC-12-evidence.zip`.

Needs nothing but Python; where `openssl` is there it checks the authority's signatures too. Ends with 0 when all of
it holds, with 1 when something does not (each fault is named), with 2 when it cannot be read.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Read = Callable[[str], bytes]
_KEY_ENTRIES = {"proposer": "proposed", "break-glass": "glass.broken", "confirmation": "confirmed"}


def entries_of(evidence: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the incident's audit entries."""
    return [json.loads(line) for line in evidence["entries"]]


def chain(evidence: dict[str, Any]) -> Iterator[str]:
    """Compute every entry's hash anew, and lay those that follow one another directly side by side."""
    before: dict[str, Any] = {}
    for line, entry in zip(evidence["entries"], entries_of(evidence), strict=True):
        covered = line.replace(f',"hash":"{entry["hash"]}"', "", 1)
        if hashlib.sha256(covered.encode()).hexdigest() != entry["hash"]:
            yield f"entry {entry['seq']} was changed"
        if entry["incident"] != evidence["incident"]:
            yield f"entry {entry['seq']} is of another incident"
        if before and entry["seq"] <= before["seq"]:
            yield f"entry {entry['seq']} is out of order"
        if before and entry["seq"] == before["seq"] + 1 and entry["previous"] != before["hash"]:
            yield f"entry {entry['seq']} does not follow from the one before"
        before = entry


def stamps(evidence: dict[str, Any], read: Read) -> Iterator[str]:
    """Compute what each authority's stamp must be over, and compare it with what it is over."""
    entries = entries_of(evidence)
    for stamp in evidence["stamps"]:
        seq = int(stamp["seq"])
        text, answer = read(f"stamps/{seq}.txt"), read(f"stamps/{seq}.tsr")
        digest, moment = signed_in(answer)
        if hashlib.sha256(text).digest() != digest:
            yield f"the stamp over entry {seq} is over another text"
        if "".join(c for c in stamp["at"][:19] if c.isdigit()) != moment[:14]:
            yield f"the stamp over entry {seq} states another moment: {moment[:14]}"
        said = json.loads(text)
        if said["head"] != {"seq": seq, "hash": stamp["hash"]}:
            yield f"the stamp over entry {seq} is of another head"
        until = [entry["hash"] for entry in entries if entry["seq"] <= seq]
        if leaf(evidence["incident"], until) not in said["incidents"]:
            yield f"the entries up to {seq} are not those that were stamped: one was changed, taken out or put in"
        if any(entry["seq"] == seq and entry["hash"] != stamp["hash"] for entry in entries):
            yield f"the stamp over entry {seq} is of another entry"


def leaf(incident: str, hashes: list[str]) -> str:
    """Return the digest by which a stamped text commits to the entries of one incident."""
    text = json.dumps({"entries": hashes, "incident": incident}, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def signed_in(answer: bytes) -> tuple[bytes, str]:
    """Return the digest and the moment in an RFC 3161 answer: its layout is fixed, so it is only walked down."""
    token = _parts(_parts(answer)[0])[1]  # TimeStampResp: status, token
    signed_data = _parts(_parts(_parts(token)[1])[0])  # ContentInfo: its type, [0] SignedData
    content = _parts(_parts(signed_data[2])[1])[0]  # encapContentInfo: its type, [0] the octets
    info = _parts(_parts(content)[0])  # TSTInfo: version, policy, imprint, serial, moment ...
    return _parts(info[2])[1], info[4].decode("ascii")


def _parts(data: bytes) -> list[bytes]:
    """Return the contents of the DER values that stand one behind the other."""
    found, at = [], 0
    while at < len(data):
        length, at = data[at + 1], at + 2
        if length > 127:
            size = length & 127
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        if at + length > len(data):
            raise ValueError("a stamp is cut off")
        found.append(data[at : at + length])
        at += length
    return found


def signatures(evidence: dict[str, Any], read: Read) -> Iterator[str]:
    """Let openssl check that each stamp is signed by whom the certificates name."""
    openssl = shutil.which("openssl")
    if openssl is None or not evidence["stamps"]:
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "roots.pem").write_bytes(read("authority.pem"))
        for stamp in evidence["stamps"]:
            seq = int(stamp["seq"])
            (place / "text").write_bytes(read(f"stamps/{seq}.txt"))
            (place / "answer").write_bytes(read(f"stamps/{seq}.tsr"))
            command = [openssl, "ts", "-verify", "-data", "text", "-in", "answer", "-CAfile", "roots.pem"]
            done = subprocess.run(command, cwd=place, capture_output=True, check=False)
            if done.returncode:
                yield f"the stamp over entry {seq} is not signed by whom authority.pem names"


def plans(evidence: dict[str, Any]) -> Iterator[str]:
    """Lay every plan, its keys and its run beside the entries."""
    entries = entries_of(evidence)
    for plan in evidence["plans"]:
        name, own = plan["id"], [entry for entry in entries if entry["plan"] == plan["id"]]
        if hashlib.sha256(plan["confirmed"].encode()).hexdigest() != plan["digest"]:
            yield f"{name} was changed: it is not what its digest says"
        if not _of(own, "proposed", "glass.broken"):
            yield f"{name} was never asked for"
        for entry in _of(own, "proposed", "glass.broken", "approved", "run.started", "run.resumed"):
            if entry["data"].get("digest") != plan["digest"]:
                yield f"{name}: entry {entry['seq']} ({entry['action']}) is for another digest"
        yield from _keys(plan, own)
        yield from _people(plan, own)
        yield from _steps(plan, own)


def _keys(plan: dict[str, Any], own: list[dict[str, Any]]) -> Iterator[str]:
    turned = {(key["person_id"], _KEY_ENTRIES.get(key["role"], "approved")) for key in plan["keys"]}
    owed = {(entry["actor"], entry["action"]): entry["seq"] for entry in _of(own, *_KEY_ENTRIES.values())}
    owed |= {(entry["actor"], "approved"): entry["seq"] for entry in _of(own, "approved")}
    for person, action in sorted(turned - set(owed)):
        yield f"{plan['id']}: no entry ({action}) says that {person} turned a key"
    for person, action in sorted(set(owed) - turned):
        does_count = any(entry["data"].get("proposer_counts") for entry in _of(own, "proposed"))
        if action != "proposed" or does_count:
            yield f"{plan['id']}: the key of {person} (entry {owed[person, action]}) is missing"
    for key in plan["keys"]:
        if key["digest"] != plan["digest"]:
            yield f"{plan['id']}: the key of {key['person_id']} is for another digest"
        for entry in _of(own, "approved"):
            if entry["actor"] == key["person_id"] and entry["data"].get("passkey", {}) != key.get(
                "assertion", {}
            ):
                yield f"{plan['id']}: what {key['person_id']} signed is not what entry {entry['seq']} says"


def _people(plan: dict[str, Any], own: list[dict[str, Any]]) -> Iterator[str]:
    began, asked = next(iter(_of(own, "run.started")), None), next(iter(_of(own, "proposed")), None)
    if began is None or asked is None:
        return  # it never ran; or on one key, as the report says
    proposer = {asked["actor"]}
    others = {entry["actor"] for entry in _of(own, "approved") if entry["seq"] < began["seq"]} - proposer
    behind = others | (proposer if asked["data"].get("proposer_counts") else set())
    if len(behind) < max(2, int(asked["data"].get("needed", 2))) or not others:
        yield f"{plan['id']} ran with {sorted(behind)} behind it, which is too few"


def _steps(plan: dict[str, Any], own: list[dict[str, Any]]) -> Iterator[str]:
    rows = {row["step_id"]: row for row in plan["steps"]}
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in _of(own, "step.started", "step.done", "step.found_done", "step.verified", "step.read"):
        if entry["data"]["step"] not in rows:
            yield f"{plan['id']}: step {entry['data']['step']} (entry {entry['seq']}) is missing"
        for name, row_name in _SAID.items():
            if name in entry["data"]:
                last[entry["data"]["step"], row_name] = {"seq": entry["seq"], "is": entry["data"][name]}
    for step, row in rows.items():
        is_over = row["state"] in ("done", "verified", "undone")
        if is_over and (step, "inputs") not in last and (step, "seen") not in last:
            yield f"{plan['id']}: no entry says that step {step} ran"
        for name in ("inputs", "prior", "outputs", "seen"):
            said = last.get((step, name))
            if said and row[name] != said["is"]:
                yield f"{plan['id']}: {_WORDS[name]} of step {step} is not what entry {said['seq']} says"


_SAID = {"inputs": "inputs", "prior": "prior", "outputs": "outputs", "seen": "seen", "result": "seen"}
_WORDS = {
    "inputs": "the call",
    "prior": "the state before",
    "outputs": "the answer",
    "seen": "the state after",
}


def _of(entries: list[dict[str, Any]], *actions: str) -> list[dict[str, Any]]:
    return [entry for entry in entries if entry["action"] in actions]


def passkeys(evidence: dict[str, Any]) -> Iterator[str]:
    """Check that each signature of a key is over this plan and digest; the arithmetic is openssl's."""
    for plan in evidence["plans"]:
        for key in plan["keys"]:
            if not (given := key.get("assertion")):
                continue
            whose = f"{plan['id']}: the passkey of {key['person_id']}"
            client, data = bytes.fromhex(given["client_data"]), bytes.fromhex(given["authenticator_data"])
            asked = "\n".join(("twokey key", plan["id"], plan["digest"], key["person_id"], given["nonce"]))
            wanted = base64.urlsafe_b64encode(hashlib.sha256(asked.encode()).digest()).rstrip(b"=").decode()
            said = json.loads(client)
            if said["type"] != "webauthn.get" or said["challenge"] != wanted:
                yield f"{whose} signed something else"
            if len(data) < 37 or data[32] & 5 != 5:  # the flags of WebAuthn: present, verified
                yield f"{whose} signed without its person"
            public = evidence["passkeys"].get(key["person_id"], {}).get(given["credential"])
            if public is None:
                yield f"{whose} is not among the public keys that were handed out"
            elif not _is_signed(bytes.fromhex(public), bytes.fromhex(given["signature"]), data, client):
                yield f"{whose} did not make its signature"


def _is_signed(public: bytes, signature: bytes, data: bytes, client: bytes) -> bool:
    """Say whether a key of ES256 or RS256 made a signature; where openssl is missing, nobody knows."""
    key = _der(public)
    if key is None:
        return False
    openssl = shutil.which("openssl")
    if openssl is None:
        return True
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "key").write_bytes(key)
        (place / "over").write_bytes(data + hashlib.sha256(client).digest())
        (place / "signature").write_bytes(signature)
        command = [openssl, "dgst", "-sha256", "-keyform", "DER", "-verify", "key", "-signature", "signature"]
        done = subprocess.run([*command, "over"], cwd=place, capture_output=True, check=False)
    return done.returncode == 0


def _der(public: bytes) -> bytes | None:
    """Write a public key in CBOR (RFC 9053, RFC 8230) as openssl reads it; None where it is of no kind we know."""
    if len(public) == 77 and public[:10] == _X_FOLLOWS and public[42:45] == _Y_FOLLOWS:
        return _P256 + public[10:42] + public[45:]
    if len(public) == 272 and public[:11] == _MODULUS_FOLLOWS and public[267:] == _EXPONENT:
        return _RSA_2048 + public[11:267] + bytes.fromhex("0203010001")
    return None


_X_FOLLOWS, _Y_FOLLOWS = bytes.fromhex("a5010203262001215820"), bytes.fromhex("225820")
_P256 = bytes.fromhex(
    "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
)  # a public key's DER before x and y
_MODULUS_FOLLOWS, _EXPONENT = bytes.fromhex("a401030339010020590100"), bytes.fromhex("2143010001")
_RSA_2048 = bytes.fromhex(
    "30820122300d06092a864886f70d01010105000382010f003082010a0282010100"
)  # the same before the modulus, whose first bit is set


def told(evidence: dict[str, Any]) -> Iterator[str]:
    """Say what there is, and what of it nothing here can prove."""
    entries, given = entries_of(evidence), evidence["stamps"]
    yield f"{evidence['incident']}: {len(entries)} entries, {len(evidence['plans'])} plans, {len(given)} stamps"
    until = max((int(stamp["seq"]) for stamp in given), default=0)
    for stamp in given:
        yield f"stamped {stamp['at']}: the entries up to {stamp['seq']}"
    if later := [entry["seq"] for entry in entries if entry["seq"] > until]:
        yield f"NOT STAMPED: entries {later[0]} to {later[-1]}; compare them with the heads that stand in the chat"
    if given and shutil.which("openssl") is None:
        yield "NOT CHECKED: the authority's signatures; that needs openssl"
    elif given:
        yield "the signatures lead to authority.pem: compare it with the authority's own site"
    for plan in evidence["plans"]:
        keys = ", ".join(f"{key['person_id']} ({key['role']})" for key in plan["keys"])
        yield f"{plan['id']} {plan['title']!a}: {plan['state']}; keys of {keys or 'nobody'}"
        if signed := [key["person_id"] for key in plan["keys"] if key.get("assertion")]:
            unchecked = "" if shutil.which("openssl") else "; NOT CHECKED, that needs openssl"
            yield f"{plan['id']}: signed with the passkeys of {', '.join(signed)}{unchecked}"


def verify(read: Read) -> tuple[list[str], list[str]]:
    """Return what is wrong, and what is said about the rest."""
    evidence = json.loads(read("evidence.json"))
    faults = [*chain(evidence), *stamps(evidence, read), *signatures(evidence, read)]
    return [*faults, *plans(evidence), *passkeys(evidence)], list(told(evidence))


def main(arguments: list[str]) -> int:
    """Verify the zip file, or the folder that it was unpacked into."""
    place = Path(arguments[0] if arguments else ".")
    try:
        if place.is_dir():
            faults, says = verify(lambda name: (place / name).read_bytes())
        else:
            with zipfile.ZipFile(place) as packed:
                faults, says = verify(packed.read)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        zipfile.BadZipFile,
    ) as fault:
        print(f"this could not be read: {type(fault).__name__}: {fault}", file=sys.stderr)
        return 2
    for line in faults:
        print("BROKEN", ascii(line)[1:-1])
    for line in says:
        print("      ", line)
    print("BROKEN" if faults else "held")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
