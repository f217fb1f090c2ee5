// The worker that keeps: our Go engine as WASM with what a browser gives it. One message
// in, one answer out: {id, operation, args} and {id, answer} with a JSON document.
importScripts("wasm_exec.js");

const kinds = ["held", "pending", "log", "profile", "trust", "keys"];

const opened = new Promise((resolve, reject) => {
  const request = indexedDB.open("sanad-pocket", 1);
  request.onupgradeneeded = () => { for (const kind of kinds) request.result.createObjectStore(kind); };
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

// change does something to a store and waits until it is on the disk.
async function change(kind, act) {
  const db = await opened;
  await new Promise((resolve, reject) => {
    const transaction = db.transaction(kind, "readwrite", { durability: "strict" });
    act(transaction.objectStore(kind));
    transaction.oncomplete = resolve;
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}

async function ask(kind, act) {
  const db = await opened;
  return new Promise((resolve, reject) => {
    const request = act(db.transaction(kind).objectStore(kind));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

const algorithm = { name: "ECDSA", namedCurve: "P-256" };

self.device = {
  put: (kind, id, bytes) => change(kind, (store) => store.put(bytes, id)),
  remove: (kind, id) => change(kind, (store) => store.delete(id)),
  async all(kind) {
    const [ids, values] = await Promise.all([ask(kind, (s) => s.getAllKeys()), ask(kind, (s) => s.getAll())]);
    return ids.map((id, i) => [id, values[i]]);
  },
  // newKey makes a key that can sign and can not be read, by us or by anybody.
  async newKey() {
    const { privateKey, publicKey } = await crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]);
    const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", publicKey);
    const id = crypto.randomUUID();
    await change("keys", (store) => store.put(privateKey, id));
    return { id, jwk: JSON.stringify({ kty, crv, x, y }) };
  },
  async sign(id, bytes) {
    const key = await ask("keys", (store) => store.get(id));
    if (!key) throw new Error("the key is not here any more");
    return new Uint8Array(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key, bytes));
  },
  async fetch({ address, type, header, body }) {
    const headers = new Headers(header);
    if (type) headers.set("Content-Type", type);
    const response = await fetch(address, {
      method: type ? "POST" : "GET", headers, body: type ? body : undefined,
      redirect: "error", credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer", signal: AbortSignal.timeout(30000),
    });
    return {
      status: response.status, type: response.headers.get("Content-Type") ?? "", header: [...response.headers],
      body: new Uint8Array(await response.arrayBuffer()),
    };
  },
};

const ready = (async () => {
  const go = new Go();
  const source = fetch("pocket.wasm");
  let made;
  try {
    made = await WebAssembly.instantiateStreaming(source, go.importObject);
  } catch { // a server that does not know the media type
    made = await WebAssembly.instantiate(await (await fetch("pocket.wasm")).arrayBuffer(), go.importObject);
  }
  go.run(made.instance);
  const here = location.protocol === "http:" ? "loopback" : "";
  const begun = JSON.parse(await self.sanad("begin", "en", here));
  if (begun.problem) throw new Error(begun.problem.detail);
})();

// In two tabs the cards are the same: what one has asked an office for and has not got
// yet looks to the other as if it had been broken off.
const alone = (operation, act) => (navigator.locks && ["accept", "poll"].includes(operation) ? navigator.locks.request("sanad-pocket", act) : act());

onmessage = async ({ data: { id, operation, args } }) => {
  try {
    await ready;
    postMessage({ id, answer: await alone(operation, () => self.sanad(operation, ...args)) });
  } catch (error) {
    postMessage({ id, answer: JSON.stringify({ problem: { code: "internal", sentence: "", detail: String(error) } }) });
  }
};
