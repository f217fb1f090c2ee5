// The ceremony of the passkey (WebAuthn Level 3). A form says what it needs:
//   data-passkey   get or create
//   data-begin, data-finish   where the question comes from and where the answer goes
//   data-then      submit: send the form itself afterwards; otherwise go where we are told
//   data-confirm   ask for a passkey that is there first, if it was not used for a while
const decode = (s) => Uint8Array.from(atob(s.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
const encode = (b) => btoa(String.fromCharCode(...new Uint8Array(b))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');

class Refused extends Error {
  constructor(text, status) { super(text); this.status = status; }
}

async function ask(path, body) {
  const res = await fetch(path, {
    method: 'POST', credentials: 'same-origin', redirect: 'error',
    headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
  });
  const answer = await res.json().catch(() => ({}));
  if (!res.ok) throw new Refused(answer.text || '', res.status);
  return answer;
}

const listed = (all) => (all || []).map((k) => ({ ...k, id: decode(k.id) }));

async function get(options) {
  const key = await navigator.credentials.get({
    publicKey: { ...options, challenge: decode(options.challenge), allowCredentials: listed(options.allowCredentials) },
  });
  const r = key.response;
  return {
    id: key.id, rawId: encode(key.rawId), type: key.type, clientExtensionResults: {},
    response: {
      authenticatorData: encode(r.authenticatorData), clientDataJSON: encode(r.clientDataJSON), signature: encode(r.signature),
      userHandle: r.userHandle ? encode(r.userHandle) : undefined,
    },
  };
}

async function create(options) {
  const key = await navigator.credentials.create({
    publicKey: {
      ...options, challenge: decode(options.challenge), user: { ...options.user, id: decode(options.user.id) },
      excludeCredentials: listed(options.excludeCredentials),
    },
  });
  const r = key.response;
  return {
    id: key.id, rawId: encode(key.rawId), type: key.type, clientExtensionResults: {},
    response: {
      attestationObject: encode(r.attestationObject), clientDataJSON: encode(r.clientDataJSON),
      transports: r.getTransports ? r.getTransports() : [],
    },
  };
}

async function ceremony(kind, begin, finish, more) {
  const { ceremony, options } = await ask(begin, {});
  const response = await (kind === 'create' ? create : get)(options);
  return ask(finish, { ceremony, response, ...more });
}

async function run(form) {
  const more = {};
  for (const name of ['name', 'next']) {
    const field = form.elements.namedItem(name);
    if (field && form.dataset.then !== 'submit') more[name] = field.value;
  }
  const { passkey, begin, finish } = form.dataset;
  try {
    return await ceremony(passkey, begin, finish, more);
  } catch (e) {
    if (!(e instanceof Refused) || e.status !== 401 || form.dataset.confirm === undefined) throw e;
    await ceremony('get', '/console/confirm/begin', '/console/confirm/finish', {});
    return ceremony(passkey, begin, finish, more);
  }
}

for (const form of document.querySelectorAll('form[data-passkey]')) {
  const error = form.querySelector('[data-passkey-error]');
  const say = (text) => { error.hidden = !text; error.textContent = text; };
  form.addEventListener('submit', async (e) => {
    e.preventDefault();
    if (form.dataset.busy !== undefined) return;
    say('');
    if (!window.PublicKeyCredential) { say(error.dataset.unsupported); return; }
    form.dataset.busy = '';
    try {
      const { to } = await run(form);
      if (form.dataset.then === 'submit') HTMLFormElement.prototype.submit.call(form);
      else location.assign(to);
    } catch (e) {
      if (e instanceof Refused) say(e.message || error.dataset.failed);
      else say(e.name === 'NotAllowedError' || e.name === 'AbortError' ? error.dataset.cancelled : error.dataset.failed);
      delete form.dataset.busy;
    }
  });
}
