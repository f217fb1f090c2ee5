// The page asks its own backend and nobody else: the key of the verifier is not here.
const $ = (id) => document.getElementById(id);

const sentences = {
  none: "",
  waiting: "Waiting for your wallet …",
  expired: "The code has expired. Start again.",
  failed: "It does not work at the moment. Try again later.",
  refused: "You did not agree. That is your right; we cannot sell it to you then.",
  not_valid: "We could not accept what your wallet showed.",
  under_18: "You have to be over 18 for this.",
};

function show(state) {
  const { status, answer } = state;
  const over = status !== "none" && status !== "waiting";
  $("question").hidden = status !== "none";
  $("again").hidden = !over;
  if (status !== "waiting") $("code").hidden = true;
  $("says").textContent = !answer ? sentences[status] : answer.over_18 ? `Welcome, ${answer.name}. You are over 18.` : sentences[answer.why];
}

async function get(path, options) {
  const response = await fetch(path, options);
  if (!response.ok) throw new Error(String(response.status));
  return response.json();
}

// follow asks again every second until nothing more can change.
async function follow() {
  for (;;) {
    let state;
    try {
      state = await get("/state");
    } catch {
      state = { status: "failed" };
    }
    show(state);
    if (state.status !== "waiting") return;
    await new Promise((done) => setTimeout(done, 1000));
  }
}

async function ask(device) {
  try {
    const { link, qr } = await get(`/ask?device=${device}`, { method: "POST" });
    $("link").href = link;
    if (device === "same") {
      location.href = link; // the wallet brings the visitor back to /done
    } else {
      $("qr").src = qr;
      $("code").hidden = false;
    }
    await follow();
  } catch {
    show({ status: "failed" });
  }
}

$("other").onclick = () => ask("other");
$("same").onclick = () => ask("same");
$("again").onclick = () => show({ status: "none" });
follow(); // after a visit to the wallet there may be an answer
