// What every page has. Pages work without it.

// A menu closes when something else is used, and with Escape.
const menus = document.querySelectorAll('details.menu');
document.addEventListener('click', (e) => {
  for (const m of menus) if (!m.contains(e.target)) m.open = false;
});
document.addEventListener('keydown', (e) => {
  if (e.key !== 'Escape') return;
  for (const m of menus) {
    if (m.open && m.contains(document.activeElement)) m.querySelector('summary').focus();
    m.open = false;
  }
});

// What is wrong is read first.
document.getElementById('summary')?.focus();

// A form is sent once, however often its button is pressed.
document.addEventListener('submit', (e) => {
  const form = e.target;
  if (e.defaultPrevented || form.dataset.passkey !== undefined) return;
  if (form.dataset.busy !== undefined) { e.preventDefault(); return; }
  form.dataset.busy = '';
});
window.addEventListener('pageshow', () => {
  for (const f of document.querySelectorAll('form[data-busy]')) delete f.dataset.busy;
});

// Forms that need the passkey bring their own module.
if (document.querySelector('form[data-passkey]')) import('./passkey.js');

// Progress that is shown while it happens.
if (document.querySelector('[data-live]')) import('./live.js');

// The queues and what waits have theirs.
if (document.querySelector('[data-counts], [data-countdown]')) import('./work.js');
