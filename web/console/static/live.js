// Shows the progress of a batch while it happens. Without it the page loads itself again.

const region = document.querySelector('[data-live]');
const field = (name) => region.querySelector(`[data-field="${name}"]`);
const bar = region.querySelector('progress');
let spoken = 0;

function show(p) {
  if (bar) {
    if (p.percent < 0) bar.removeAttribute('value');
    else bar.value = p.percent;
  }
  for (const name of ['text', 'rest', 'trouble']) {
    const e = field(name);
    if (!e) continue;
    e.textContent = p[name];
    e.hidden = p[name] === '';
  }
  // A screen reader hears how far it is now and then, not every second.
  const say = field('say');
  if (say && Date.now() - spoken > 15000) {
    spoken = Date.now();
    say.textContent = p.text;
  }
}

const events = new EventSource(region.dataset.live);
events.addEventListener('progress', (e) => show(JSON.parse(e.data)));
events.addEventListener('moved', () => {
  events.close();
  location.reload();
});
window.addEventListener('pagehide', () => events.close());
