// The scanner page: it holds the camera up to the reader, gives what was read to the
// judge, and shows the answer. What anything is worth is decided in judge.js alone.

import { $, ask, bytes, headed, item, language, languages, memory, notice, preferred, reader, remember, say, speak, table } from "./common.js";
import { asking, answered, beginDesk, closeDesk, found, showDesk, upload, within } from "./desk.js";

// ---- trust ----

let settings = {};

async function showTrust() {
  const t = await ask("trust");
  $("summary").textContent = [t.summary, t.state].filter(Boolean).join(" ");
  $("state").textContent = $("summary").textContent;
  $("messages").replaceChildren(...t.messages.map(item));
  $("messages").hidden = !t.messages.length;
  const list = $("trusted");
  list.replaceChildren();
  if (t.trusted && !t.damaged) {
    list.append(table([
      ["trust.fingerprint", t.fingerprint, "ltr"], ["trust.version", String(t.version)], ["trust.as_of", t.as_of],
      ["trust.refresh_by", t.refresh_by], ["trust.old_after", t.old_after], ["trust.root_ends", t.root_ends],
    ].map(([label, value, direction]) => ({ label: say(label), value, direction }))));
    for (const [title, names] of [["trust.issuers", t.issuers], ["trust.types", t.types]]) {
      const ul = document.createElement("ul");
      for (const n of names) ul.append(item(n.note ? `${n.name} (${n.note})` : n.name));
      list.append(headed(say(title)), ul);
    }
  }
  $("kept").textContent = say((await navigator.storage?.persisted?.().catch(() => false)) ? "kept" : "not_kept");
  return t;
}

let unconfirmed = null;

// take judges a trust file. Pinned is a fingerprint that came with the page.
async function take(file, pinned = "") {
  const result = await ask("import", file, pinned);
  $("confirm").hidden = !result.confirm;
  if (result.confirm) {
    unconfirmed = { file, fingerprint: result.confirm.fingerprint };
    $("from").replaceChildren(...result.confirm.issuers.map(item));
    $("fingerprint").textContent = result.confirm.fingerprint;
    openTrust();
    $("yes").focus();
    return result;
  }
  unconfirmed = null;
  if (result.done) await remember();
  await showTrust();
  return result;
}

// takeFile is take for a file that a person gave, who is told what became of it.
async function takeFile(file) {
  const result = await take(file);
  if (result.refused) notice(result.sentence);
  else if (result.done) notice(say(result.changed ? "trust.updated" : "trust.same"));
}

// update asks for newer lists where the page came from. Without a connection all stays
// as it is.
async function update(asked) {
  if (!settings.trust) return;
  // A server that knows what we have sends what changed; any other sends all of it.
  const { version, damaged } = await ask("trust");
  const load = async (query) => {
    const response = await fetch(settings.trust + query, { cache: "no-cache", signal: AbortSignal.timeout(60000) });
    if (!response.ok) throw new Error(response.status);
    return take(new Uint8Array(await response.arrayBuffer()), settings.fingerprint);
  };
  let result;
  try {
    result = await load(version && !damaged ? `?from=${version}` : "");
    if (result.refused && result.refused !== "rollback") result = await load("");
  } catch {
    if (asked) notice(say("trust.offline"));
    return;
  }
  if (result.refused && result.refused !== "rollback") notice(result.sentence);
  else if (asked && result.done) notice(say(result.changed ? "trust.updated" : "trust.same"));
  else if (asked && result.refused) notice(result.sentence);
}

function openTrust() {
  closeDesk();
  $("trust").hidden = false;
  $("knowledge").setAttribute("aria-expanded", "true");
  $("trust").querySelector("h2").focus();
}

function closeTrust() {
  $("trust").hidden = true;
  $("confirm").hidden = true;
  $("knowledge").setAttribute("aria-expanded", "false");
}

// ---- result ----

let shown = false; // a result is in view, which can be told again

// check judges what was scanned. It returns null if that only sets up this page.
async function check(input) {
  const answer = await within(() => ask("check", input, ""));
  if (answer.learned) remember().catch(() => {});
  if (answer.found?.file) {
    await takeFile(bytes(answer.found.file));
    return null;
  }
  if (answer.found) {
    found(answer.found);
    return null;
  }
  shown = true;
  answered();
  showPage(answer.page);
  signal(answer.page.verdict);
  return answer;
}

// tell shows the last result again. It is not judged twice: a live code is accepted once.
async function tell(sensitive = "") {
  const { page, ok } = await ask("tell", sensitive);
  if (ok && shown) showPage(page); // nobody went on to the next one meanwhile
}

function showPage(page) {
  $("verdict").dataset.verdict = page.verdict;
  $("heading").textContent = page.heading;
  const whys = $("whys");
  whys.replaceChildren();
  for (const why of page.why) {
    const div = document.createElement("div");
    div.className = "why";
    for (const [text, kind] of [[why.kind, ""], [why.text, "link"], [why.reason, ""], [why.advice, "advice"]]) {
      if (!text) continue;
      const p = document.createElement("p");
      const bdi = document.createElement("bdi");
      bdi.textContent = text;
      p.className = kind;
      p.append(bdi);
      div.append(p);
    }
    whys.append(div);
  }
  $("portrait").hidden = !page.face;
  if (page.face) $("face").src = page.face;
  else $("face").removeAttribute("src");
  const said = $("said");
  said.replaceChildren();
  if (page.facts.length) said.append(headed(say("who")), table(page.facts));
  const claims = page.claims.filter((row) => row.kind !== "photo");
  if (claims.length) said.append(headed(say("says")), table(claims));
  if (page.hidden.length) {
    const more = document.createElement("button");
    more.type = "button";
    more.textContent = say("hidden");
    more.onclick = () => tell("sensitive");
    said.append(more);
  }
  $("notes").replaceChildren(...page.notes.map(item));
  $("scan").hidden = true;
  $("result").hidden = false;
  $("heading").focus();
}

// signal is the verdict for ears and hands: two tones up, one, two down, one low.
const tones = { valid: [660, 880], check_needed: [660], invalid: [440, 220], undetermined: [330] };
let audio = null;

function signal(verdict) {
  if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(verdict === "valid" ? 80 : [120, 80, 120]);
  if (!audio) return;
  tones[verdict].forEach((pitch, i) => {
    const tone = audio.createOscillator();
    const gain = audio.createGain();
    tone.frequency.value = pitch;
    gain.gain.value = 0.1;
    tone.connect(gain).connect(audio.destination);
    tone.start(audio.currentTime + i * 0.18);
    tone.stop(audio.currentTime + i * 0.18 + 0.15);
  });
}

function again() {
  $("result").hidden = true;
  $("scan").hidden = false;
  shown = false;
  ask("forget").catch(() => {});
  notice("");
  asking();
  judged.seen = performance.now(); // it was in view all the time, for all we know
  if (stream) look();
  else $("start").focus();
}

// ---- reading ----

const encoder = new TextEncoder();
const input = (code) => (code.text ? encoder.encode(code.text) : code.bytes);

// decide gives the codes of one picture to the judge. A certificate has a second code
// beside it, which leads to a page of help.
async function decide(codes) {
  if (codes.length === 1) return check(input(codes[0]));
  const { text } = await ask("choose", JSON.stringify(codes.map((c) => c.text)));
  if (text) return check(encoder.encode(text));
  notice(say("several"));
  return null;
}

const isPDF = (file) => file.type === "application/pdf" || /\.pdf$/i.test(file.name);

async function readPicture(file) {
  notice("");
  if (isPDF(file)) {
    const content = await file.arrayBuffer();
    const { codes = [] } = await reader({ file: content }, [content]);
    if (codes.length) await decide(codes);
    else notice(say("no_pdf"));
    return;
  }
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    notice(say("no_code"));
    return;
  }
  const most = 4096;
  const scale = Math.min(1, most / Math.max(picture.width, picture.height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(picture.width * scale)), Math.max(1, Math.round(picture.height * scale)));
  const draw = canvas.getContext("2d", { willReadFrequently: true });
  draw.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  const pixels = draw.getImageData(0, 0, canvas.width, canvas.height);
  const { codes = [] } = await reader({ picture: pixels, hard: true }, [pixels.data.buffer]);
  if (codes.length) await decide(codes);
  else notice(say("no_code"));
}

// ---- camera ----

let stream = null;
let looking = false;

async function start() {
  if (stream) return;
  audio ??= window.AudioContext ? new AudioContext() : null;
  notice("");
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } } });
  } catch {
    notice(say("no_camera"));
    return;
  }
  $("video").srcObject = stream;
  await $("video").play();
  $("view").hidden = $("stop").hidden = false;
  $("start").hidden = true;
  const track = stream.getVideoTracks()[0];
  const can = track.getCapabilities?.() ?? {};
  $("torch").hidden = !can.torch;
  $("zoomed").hidden = !can.zoom;
  if (can.zoom) Object.assign($("zoom"), { min: can.zoom.min, max: can.zoom.max, step: can.zoom.step || 0.1, value: can.zoom.min });
  look();
}

function stop() {
  stream?.getTracks().forEach((t) => t.stop());
  stream = null;
  judged = { text: "", seen: 0 };
  $("view").hidden = $("stop").hidden = $("torch").hidden = $("zoomed").hidden = true;
  $("start").hidden = false;
}

// look reads frame after frame until a code was judged.
async function look() {
  if (looking) return;
  looking = true;
  const video = $("video");
  const began = performance.now();
  const canvas = new OffscreenCanvas(1, 1);
  const draw = canvas.getContext("2d", { willReadFrequently: true });
  for (let n = 0; stream && $("result").hidden; n++) {
    if (!video.videoWidth) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      continue;
    }
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    draw.drawImage(video, 0, 0);
    const pixels = draw.getImageData(0, 0, canvas.width, canvas.height);
    const dark = brightness(pixels.data) < 40;
    const { codes = [] } = await reader({ picture: pixels, hard: n % 3 === 2 }, [pixels.data.buffer]);
    if (!stream || !$("result").hidden) break; // meanwhile somebody did something else
    if (codes.length && !still(codes) && (await decide(codes))) break;
    const waited = performance.now() - began;
    $("hint").textContent = say(dark ? "light" : waited > 4000 ? "closer" : "point");
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  looking = false;
}

// still reports whether the camera goes on seeing what was judged last: it is judged
// again after it was out of view for a while.
let judged = { text: "", seen: 0 };

function still(codes) {
  const text = codes.map((c) => c.text).sort().join("\n");
  const now = performance.now();
  const same = text === judged.text && now - judged.seen < 1500;
  judged = { text, seen: now };
  return same;
}

// brightness is the mean of some of the pixels, 0 to 255.
function brightness(data) {
  let sum = 0;
  let n = 0;
  for (let i = 0; i < data.length; i += 4 * 997) {
    sum += data[i] * 0.3 + data[i + 1] * 0.6 + data[i + 2] * 0.1;
    n++;
  }
  return sum / n;
}

// ---- the start ----

function wire() {
  for (const [tag, name] of languages) {
    const option = new Option(name, tag);
    option.lang = tag;
    $("language").append(option);
  }
  $("language").onchange = async () => {
    notice("");
    await speak($("language").value);
    await showTrust();
    await showDesk();
    if (shown) await tell();
  };
  $("knowledge").onclick = () => ($("trust").hidden ? openTrust() : closeTrust());
  $("close").onclick = () => {
    closeTrust();
    $("knowledge").focus();
  };
  $("start").onclick = start;
  $("stop").onclick = stop;
  $("next").onclick = again;
  $("torch").onclick = () => {
    const on = $("torch").getAttribute("aria-pressed") !== "true";
    stream?.getVideoTracks()[0].applyConstraints({ advanced: [{ torch: on }] });
    $("torch").setAttribute("aria-pressed", String(on));
  };
  $("zoom").oninput = () => stream?.getVideoTracks()[0].applyConstraints({ advanced: [{ zoom: Number($("zoom").value) }] });
  $("picture").onclick = () => $("file").click();
  $("import").onclick = () => $("bundle").click();
  $("file").onchange = async () => {
    const [file] = $("file").files;
    $("file").value = "";
    if (file) await readPicture(file);
  };
  $("typed").onsubmit = async (event) => {
    event.preventDefault();
    const text = $("text").value.trim();
    $("text").value = "";
    if (text) await check(encoder.encode(text));
  };
  // Enter sends, as scanners that type like a keyboard end with it.
  $("text").onkeydown = (event) => {
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      $("typed").requestSubmit();
    }
  };
  addEventListener("paste", async (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((f) => f.type.startsWith("image/") || isPDF(f));
    if (file) {
      event.preventDefault();
      await readPicture(file);
    }
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer?.files ?? [];
    if (file) await readPicture(file);
  });
  $("same").onclick = () => notice("");
  $("other").onclick = () => {
    notice(say("person.not"));
    scrollTo(0, 0);
  };
  $("bundle").onchange = async () => {
    const [file] = $("bundle").files;
    $("bundle").value = "";
    if (file) await takeFile(new Uint8Array(await file.arrayBuffer()));
  };
  $("yes").onclick = async () => {
    const { file, fingerprint } = unconfirmed;
    const result = await take(file, fingerprint);
    if (result.done) {
      notice(say("trust.updated"));
      closeTrust();
    }
  };
  $("no").onclick = () => {
    unconfirmed = null;
    closeTrust();
  };
  $("update").onclick = () => update(true);
  addEventListener("online", () => {
    update(false);
    upload(false);
  });
  setInterval(() => update(false), 6 * 3600 * 1000);
  setInterval(() => upload(false), 15 * 60 * 1000);
}

async function begin() {
  wire();
  await speak(preferred());
  $("language").value = language;
  settings = await (await fetch("settings.json")).json();
  $("update").hidden = !settings.trust;
  const mark = await memory.get("trust", "mark").catch(() => null);
  const bundle = await memory.get("trust", "bundle").catch(() => null);
  if (mark) await ask("restore", mark, bundle ?? new Uint8Array()).catch((error) => notice(error.message));
  await beginDesk(settings, { start, closeTrust });
  if (!mark) await update(false); // knowing nothing, every answer would be "cannot tell"
  await showTrust();
  for (const id of ["start", "check", "picture", "import"]) $(id).disabled = false;
  document.body.dataset.ready = "yes";
  navigator.storage?.persist?.().catch(() => {});
  if ("serviceWorker" in navigator) {
    const registration = await navigator.serviceWorker.register("sw.js").catch(() => null);
    if (registration) navigator.serviceWorker.ready.then(() => { document.body.dataset.offline = "ready"; });
  }
  if (mark) await update(false);
  await showDesk(); // newer lists may name other offices
  await upload(false);
  document.body.dataset.updated = "yes";
}

begin().catch(() => notice(say("failed") === "failed" ? "This page could not start. Load it again." : say("failed")));
