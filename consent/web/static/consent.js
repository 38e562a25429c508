/* asgi-consent. Every form works without this file. */
'use strict'; {
  const config = document.currentScript.dataset;
  const { prefix } = config;
  const find = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const words = (text) => (text || '').split(' ').filter(Boolean);
  const state = { status: config.status, allowed: words(config.allowed) };
  const copy = () => ({ ...state, allowed: [...state.allowed] });
  const keysOf = (node) => node.dataset.consentService.split(' ');

  let policy = { createHTML: (text) => text, createScriptURL: (text) => text };
  try { policy = trustedTypes.createPolicy('consent', policy); } catch { /* plain strings */ }

  const trusted = (node, name, value) => {
    const kind = window.trustedTypes?.getAttributeType(node.localName, name, node.namespaceURI);
    return kind ? policy[kind.replace('Trusted', 'create')](value) : value;
  };

  const restore = (node) => {
    if (node.localName === 'style') {
      node.removeAttribute('type');
      node.textContent = node.textContent.replace('consent{}', '');
    }
    if (/^i?frame$/.test(node.localName)) node.removeAttribute('name');
    if (node.matches('a,area,form')) return;
    for (const { name, value } of [...node.attributes]) {
      if (!name.startsWith('data-consent-')) continue;
      const own = name.slice(13).replace('xlink:', '');
      if (/^(on|formaction$|data-consent)/i.test(own)) continue;
      node.removeAttribute(name);
      node.setAttribute(own, trusted(node, own, value));
      if (['src', 'href', 'data'].includes(own)) revived.add(new URL(value, document.baseURI).href);
    }
  };

  // The same node, put back with its nonce, runs.
  const run = (node) => {
    const place = document.createComment('');
    node.replaceWith(place);
    node.removeAttribute('type');
    restore(node);
    if (!node.hasAttribute('async')) node.async = false;
    place.replaceWith(node);
  };

  const runAll = async (scripts) => {
    const before = [];
    for (const node of scripts) {
      if (!node.matches('[src],[data-consent-src]')) await Promise.all(before);
      else if (!node.noModule && !node.hasAttribute('async')) {
        before.push(new Promise((done) => ['load', 'error'].forEach((event) => node.addEventListener(event, done, { once: true }))));
      }
      run(node);
    }
  };

  // What the page's narrowed policy goes on denying takes a page served anew.
  let again = () => {};
  const revived = new Set();
  document.addEventListener('securitypolicyviolation', (event) => {
    const { blockedURI, disposition } = event;
    if (disposition === 'enforce' && blockedURI && [...revived].some((address) => address.startsWith(blockedURI))) again();
  });

  // Embeds can be parked again; what is fixed takes a reload.
  const embeds = new Map();
  const fixed = new Set(state.allowed);

  const revive = (allowed) => {
    const due = all('[data-consent-service]').filter((node) => keysOf(node).every((key) => allowed.includes(key)));
    for (const node of due) {
      const hold = node.previousElementSibling, keys = keysOf(node);
      if (hold?.matches('[data-cst-for]')) {
        embeds.set(node, { keys, parked: node.cloneNode(true), hold });
        hold.remove();
      } else keys.forEach(fixed.add, fixed);
      node.removeAttribute('data-consent-service');
    }
    const others = due.filter((node) => node.localName !== 'script');
    for (const node of others) {
      // A frame made anew, since history fills the parked one's name.
      const place = document.createComment('');
      if (/^i?frame$/.test(node.localName)) node.replaceWith(place);
      restore(node);
      place.replaceWith(node);
      if (node.matches('source,track')) node.parentNode.load?.();
    }
    runAll(due.filter((node) => !others.includes(node)));
    return others[0];
  };

  const clear = async (names) => {
    const ours = (key) => names.some((name) => name === key || (name.endsWith('*') && key.startsWith(name.slice(0, -1))));
    try {
      for (const store of [localStorage, sessionStorage]) {
        for (const key of Object.keys(store)) if (ours(key)) store.removeItem(key);
      }
      if (names.some((name) => name.startsWith('indexeddb:'))) {
        for (const { name } of await indexedDB.databases()) if (ours(`indexeddb:${name}`)) indexedDB.deleteDatabase(name);
      }
    } catch { /* no storage */ }
  };

  const here = () => location.pathname + location.search;
  const ask = (address, more) => fetch(address, { cache: 'no-store', headers: { Accept: 'application/json', 'Accept-Language': config.lang }, ...more });

  const dialog = document.createElement('dialog');
  dialog.className = 'cst-dialog cst-sheet';
  dialog.setAttribute('aria-labelledby', 'cst-heading');
  dialog.addEventListener('close', () => { if (history.state?.cst) history.back(); });
  addEventListener('popstate', () => dialog.close());
  const open = async (address = `${prefix}/choices?next=${encodeURIComponent(here())}`) => {
    try {
      const way = new URL(address, location);
      way.searchParams.set('part', '');
      if (way.href.indexOf(new URL(`${prefix}/choices?`, location))) return open();
      const response = await ask(way);
      if (!response.ok) throw response;
      dialog.innerHTML = policy.createHTML(await response.text());
      if (!dialog.open) {
        document.body.append(dialog);
        dialog.showModal();
        history.pushState({ ...history.state, cst: 1 }, '');
      }
      find('h2', dialog).focus();
      if (way.hash) find(decodeURIComponent(way.hash), dialog)?.scrollIntoView();
    } catch { location.assign(address); }
  };

  const announce = (once) => document.dispatchEvent(new CustomEvent('consent:change', { detail: { ...copy(), once } }));

  const take = (answer) => {
    state.status = answer.status;
    state.allowed = answer.allowed;
    const bar = answer.answered && find('#cst');
    if (bar) {
      const held = bar.contains(document.activeElement);
      bar.remove();
      if (held) find('.cst-link a')?.focus({ preventScroll: true });
    }
    revive(state.allowed);
    announce();
  };

  const reload = () => location.reload();
  const tabs = new BroadcastChannel('cst');
  const settle = async (answer, elsewhere) => {
    await clear(answer.storage);
    const lost = state.allowed.filter((key) => !answer.allowed.includes(key));
    const gained = answer.allowed.some((key) => !state.allowed.includes(key));
    if (!elsewhere) tabs.postMessage(answer);
    const told = !elsewhere && lost[0] && answer.undeletable[0];
    if (answer.reload || lost.some((key) => fixed.has(key)) || (gained && 'narrowed' in config)) {
      return told ? location.assign(answer.href) : reload();
    }
    for (const [node, { keys, parked, hold }] of embeds) {
      if (keys.some((key) => lost.includes(key)) && embeds.delete(node)) node.replaceWith(hold, parked);
    }
    again = reload;
    if (told) open(answer.href);
    else if (!elsewhere) dialog.close();
    take(answer);
    const said = find('.cst-said');
    if (said && !elsewhere) said.textContent = said.dataset.saved;
  };
  tabs.onmessage = ({ data }) => settle(data, true);

  let busy, plain;
  const submit = async (form, button) => {
    const body = new URLSearchParams([...new FormData(form), [button.name, button.value]]);
    const once = body.get('choice') === 'once' && body.get('service');
    const plainly = () => {
      plain = true;
      form.requestSubmit(button);
    };
    if (once && 'narrowed' in config) return plainly();
    const line = find('.cst-status', dialog.open ? dialog : document);
    try {
      const response = await ask(`${prefix}/choices`, { method: 'POST', body });
      const answer = await response.json();
      if (response.ok && once) {
        if (answer.reload) return plainly();
        again = plainly;
        revive([...state.allowed, once])?.focus?.();
        return announce(once);
      }
      if (response.ok) return settle(answer);
      if (response.status !== 409 && line && answer.message) {
        line.textContent = `${answer.message} ${answer.action}`;
        return;
      }
    } catch { /* a plain submit says why */ }
    plainly();
  };

  document.addEventListener('submit', (event) => {
    const { target: form, submitter: button } = event;
    if (plain || !button || !form.matches('[data-cst-form]')) return;
    event.preventDefault();
    if (busy) return;
    busy = true;
    submit(form, button).finally(() => { busy = false; });
  });

  document.addEventListener('click', (event) => {
    const opener = event.target.closest?.('[data-consent-open]');
    if (!opener || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(opener.href || undefined);
  });

  document.addEventListener('input', ({ target }) => {
    if (target.id !== 'cst-find') return;
    const wanted = target.value.trim().toLowerCase();
    let count = 0;
    for (const list of all('.cst-purpose details')) {
      const hits = all('.cst-service', list).filter((one) => !(one.hidden = !one.textContent.toLowerCase().includes(wanted))).length;
      list.parentNode.hidden = !hits;
      list.open = wanted && hits;
      count += hits;
    }
    const { dataset } = target.nextElementSibling;
    target.nextElementSibling.textContent = wanted && dataset.found.replace('{count}', count);
  });

  const sign = (one) => [one.status, ...one.allowed].sort().join();
  const settled = async () => (await ask(`${prefix}/state`)).json();

  addEventListener('pageshow', async (event) => {
    if (event.persisted && sign(await settled()) !== sign(state)) reload();
  });

  const learn = async () => {
    const [name, digest, ...keys] = words(config.companion);
    const [, seen, bits] = name && document.cookie.split('; ').map((one) => one.split(/[=.]/)).find((one) => one[0] === name) || [];
    if (!seen) return;
    if (seen !== digest) return take(await settled());
    const granted = keys.filter((key, n) => bits[n] > 0 && !(key.endsWith('!') && navigator.globalPrivacyControl)).map((key) => key.replace('!', ''));
    take({ status: granted[0] ? 'given' : 'refused', answered: true, allowed: [...state.allowed, ...granted] });
  };

  const line = find('.cst-held'), parked = all('[data-consent-service]');
  if (line && parked[0]) {
    const { held, same = '' } = line.dataset;
    const companies = new Set(parked.flatMap(keysOf).filter(Boolean).map((key) => same.split(',').find((keys) => words(keys).includes(key)) || key));
    line.textContent = held.replace('{items}', parked.length).replace('{companies}', companies.size);
  }
  find('.cst-search')?.removeAttribute('hidden');
  if ('clear' in config) clear(words(config.clear)).then(settled).then((answer) => tabs.postMessage(answer));
  window.consent = Object.freeze({
    allows: (key) => state.allowed.includes(key),
    get choice() { return copy(); },
    open: () => open(),
    on(name, listener) {
      const heard = (event) => listener(event.detail);
      document.addEventListener(`consent:${name}`, heard);
      return () => document.removeEventListener(`consent:${name}`, heard);
    },
  });
  learn();
}
