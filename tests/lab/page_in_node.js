// Runs the script of a passkey page, with a browser's interface in software: what the device answers and what is
// typed come in as JSON, and the body that the page would send is written out.
"use strict";
const told = JSON.parse(require("fs").readFileSync(0, "utf8"));
const bytes = hex => new Uint8Array(Buffer.from(hex, "hex")).buffer;
const elements = {
  asked: {textContent: told.asked},
  says: {},
  typed: "typed" in told ? {value: told.typed} : null,
  go: {addEventListener: (_, press) => { elements.go.press = press; }},
};
const answer = names => Object.fromEntries(Object.entries(names).map(([ours, its]) => [its, bytes(told.device[ours])]));
const asking = {};
const credentials = {
  get: async ({publicKey}) => {
    asking.publicKey = publicKey;
    return {rawId: bytes(told.device.credential), response: answer(
      {client_data: "clientDataJSON", authenticator_data: "authenticatorData", signature: "signature"})};
  },
  create: async ({publicKey}) => {
    asking.publicKey = publicKey;
    return {rawId: bytes(told.device.credential), response: answer(
      {client_data: "clientDataJSON", attestation: "attestationObject"})};
  },
};
const sent = [];
const run = new Function("document", "navigator", "location", "fetch", told.script);
run({getElementById: id => elements[id]}, {credentials}, {pathname: "/here"}, async (path, request) => {
  sent.push({path, body: JSON.parse(request.body)});
  return {json: async () => ({done: true, says: "it is done"})};
});
elements.go.press().then(() => {
  const {challenge, userVerification, authenticatorSelection} = asking.publicKey;
  console.log(JSON.stringify({sent, says: elements.says.textContent, over: elements.go.disabled,
    challenge: Buffer.from(challenge).toString("hex"),
    verification: userVerification || authenticatorSelection.userVerification}));
});
