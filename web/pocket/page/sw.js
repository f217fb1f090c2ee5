// The service worker: what the page consists of is fetched once and then served from
// this device, also after a cold start without a network. What reads codes with the
// camera is fetched after that, as the page does without it at first. Cards are never
// here: the engine keeps them.
const version = "pocket-@VERSION@"; // other pages of this origin have caches, too
const files = @FILES@;
const later = ["read.js", "zxing.js", "zxing_reader.wasm"];

const asked = (names) => names.map((f) => new Request(f, { cache: "no-cache" }));

addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(version);
    await cache.addAll(asked(files.filter((f) => !later.includes(f))));
    await skipWaiting();
  })());
});

addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name.startsWith("pocket-") && name !== version) await caches.delete(name);
    await clients.claim();
  })());
});

// The page says when it is idle.
addEventListener("message", (event) => {
  if (event.data !== "later") return;
  event.waitUntil((async () => {
    const cache = await caches.open(version);
    const missing = [];
    for (const name of later) if (!(await cache.match(name))) missing.push(name);
    let all = true;
    await cache.addAll(asked(missing)).catch(() => { all = false; });
    event.source?.postMessage(all ? "complete" : "incomplete");
  })());
});

addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  const own = new URL("./", location.href);
  if (event.request.method !== "GET" || url.origin !== own.origin || !url.pathname.startsWith(own.pathname) || url.pathname.endsWith("/bundle.trust")) return;
  event.respondWith((async () => {
    const cache = await caches.open(version);
    const kept = await cache.match(event.request, { ignoreSearch: true });
    if (!url.pathname.endsWith("/settings.json")) return kept ?? fetch(event.request);
    // What its operator has set may change while the page stays the same.
    try {
      const now = await fetch(event.request, { cache: "no-cache" });
      if (!now.ok || !now.headers.get("Content-Type")?.startsWith("application/json")) return kept ?? now;
      await cache.put(event.request, now.clone());
      return now;
    } catch (error) {
      if (kept) return kept;
      throw error;
    }
  })());
});
