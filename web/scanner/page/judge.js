// The worker that judges: our Go verifier as WASM. One message in, one answer out, in
// their order: {id, operation, args} and {id, answer} with a JSON document.
importScripts("wasm_exec.js");

const ready = (async () => {
  const go = new Go();
  const source = fetch("sanad.wasm");
  let made;
  try {
    made = await WebAssembly.instantiateStreaming(source, go.importObject);
  } catch { // a server that does not know the media type
    made = await WebAssembly.instantiate(await (await fetch("sanad.wasm")).arrayBuffer(), go.importObject);
  }
  go.run(made.instance);
})();

onmessage = async ({ data: { id, operation, args } }) => {
  try {
    await ready;
    postMessage({ id, answer: self.sanad(operation, ...args) });
  } catch (error) {
    postMessage({ id, answer: JSON.stringify({ error: String(error) }) });
  }
};
