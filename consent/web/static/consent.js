/* asgi-consent: answers without a reload, and brings back what was kept back. Every form works without this file. */
'use strict'; {
  const config = document.currentScript.dataset;
  const { prefix } = config;
  const words = (text) => (text || '').split(' ').filter(Boolean);
  const state = { status: config.status, allowed: words(config.allowed) };

  // The page's own policy may name other policies only; then plain strings are all there is to try.
  let policy;
  try {
    policy = window.trustedTypes?.createPolicy('consent', { createHTML: (text) => text, createScriptURL: (text) => text });
  } catch { /* stays undefined */ }

  const trusted = (node, name, value) => {
    const kind = policy && trustedTypes.getAttributeType(node.localName, name, node.namespaceURI);
    return kind === 'TrustedHTML' ? policy.createHTML(value) : kind === 'TrustedScriptURL' ? policy.createScriptURL(value) : value;
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

  // A script runs when its own node, with its nonce, is put back without the parking type.
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
      const ordered = node.hasAttribute('data-consent-src') || node.hasAttribute('src');
      if (!ordered) await Promise.all(before);
      else if (!node.noModule && !node.hasAttribute('async')) {
        before.push(new Promise((done) => ['load', 'error'].forEach((event) => node.addEventListener(event, done, { once: true }))));
      }
      run(node);
    }
  };

  // A Content-Security-Policy narrowed before the choice goes on denying on this page: `again` gets it served anew.
  let again = () => {};
  const revived = new Set();
  document.addEventListener('securitypolicyviolation', (event) => {
    const { blockedURI, disposition } = event;
    if (disposition === 'enforce' && blockedURI && [...revived].some((address) => address.startsWith(blockedURI))) again();
  });

  // Nodes are claimed before anything runs, so that none is brought back twice.
  const revive = (keys) => {
    const due = [...document.querySelectorAll('[data-consent-service]')]
      .filter((node) => node.getAttribute('data-consent-service').split(' ').every((key) => keys.includes(key)));
    for (const node of due) node.removeAttribute('data-consent-service');
    for (const node of document.querySelectorAll('[data-cst-for]')) if (keys.includes(node.dataset.cstFor)) node.remove();
    const scripts = due.filter((node) => node.localName === 'script');
    const others = due.filter((node) => node.localName !== 'script');
    for (const node of others) {
      // A frame made anew: history would go on filling the parked one, under its name, with what was shown in it.
      const place = document.createComment('');
      if (/^i?frame$/.test(node.localName)) node.replaceWith(place);
      restore(node);
      if (place.parentNode) place.replaceWith(node);
      if (node.matches('source,track')) node.parentNode.load?.();
    }
    runAll(scripts);
    return others[0];
  };

  const clear = (names) => {
    for (const kind of ['localStorage', 'sessionStorage']) {
      try {
        const store = window[kind];
        for (const key of Object.keys(store)) {
          if (names.some((name) => name === key || (name.endsWith('*') && key.startsWith(name.slice(0, -1))))) store.removeItem(key);
        }
      } catch { /* storage is switched off in this browser: nothing to clear */ }
    }
  };

  const here = () => location.pathname + location.search;
  const open = () => location.assign(`${prefix}/choices?next=${encodeURIComponent(here())}`);
  const same = (answer) => answer.status === state.status && [...answer.allowed].sort().join() === [...state.allowed].sort().join();

  const announce = (once) => document.dispatchEvent(new CustomEvent('consent:change', { detail: { ...state, allowed: [...state.allowed], once } }));

  const settle = (answer) => {
    clear(answer.storage || []);
    const lost = state.allowed.some((key) => !answer.allowed.includes(key));
    const gained = answer.allowed.some((key) => !state.allowed.includes(key));
    if (answer.reload || lost || (gained && 'narrowed' in config)) return location.reload();
    state.status = answer.status;
    state.allowed = answer.allowed;
    shown = cookie && companion();
    document.getElementById('cst')?.remove();
    document.querySelector('.cst-link')?.removeAttribute('hidden');
    const said = document.querySelector('.cst-said');
    if (said) said.textContent = said.dataset.saved;
    again = () => location.reload();
    revive(state.allowed);
    announce();
  };

  const read = (form, button) => {
    const body = { purpose: [], service: [], except: [] };
    for (const [name, value] of [...new FormData(form), [button.name, button.value]]) {
      if (Array.isArray(body[name])) body[name].push(value);
      else body[name] = value;
    }
    return body;
  };

  let busy = false;
  const submit = async (form, button) => {
    const body = read(form, button);
    const once = body.choice === 'once';
    const plainly = () => {
      form.append(Object.assign(document.createElement('input'), { type: 'hidden', name: button.name, value: button.value }));
      form.submit();
    };
    if (once && 'narrowed' in config) return plainly();
    const line = document.querySelector('#cst .cst-status');
    try {
      const response = await fetch(`${prefix}/choices`, {
        method: 'POST',
        credentials: 'same-origin',
        headers: { Accept: 'application/json', 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
      });
      const answer = await response.json();
      if (response.ok && once) {
        if (answer.reload) return plainly();
        again = plainly;
        revive([...state.allowed, ...body.service])?.focus?.();
        return announce(body.service[0]);
      }
      if (response.ok) return settle(answer);
      if (response.status !== 409 && line && answer.message) {
        line.textContent = [answer.message, answer.action].filter(Boolean).join(' ');
        return;
      }
    } catch { /* no connection, or no JSON: the browser's own submit shows what is wrong */ }
    plainly();
  };

  document.addEventListener('submit', (event) => {
    const { target: form, submitter: button } = event;
    if (!button || !form.matches('[data-cst-form]')) return;
    event.preventDefault();
    if (busy) return;
    busy = true;
    submit(form, button).finally(() => { busy = false; });
  });

  document.addEventListener('click', (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || !event.target.closest?.('[data-consent-open]')) return;
    event.preventDefault();
    open();
  });

  // A page that comes back from the back/forward cache may be from before another choice.
  addEventListener('pageshow', async (event) => {
    if (!event.persisted) return;
    if (cookie) return shown !== companion() && location.reload();
    const response = await fetch(`${prefix}/state`, { cache: 'no-store', headers: { Accept: 'application/json' } });
    if (response.ok && !same(await response.json())) location.reload();
  });

  // On a page that is everybody's, a cookie of one bit a key tells who is looking; where it is of another day, we ask.
  const [cookie, digest, ...keys] = words(config.companion);
  const companion = () => document.cookie.split('; ').find((pair) => pair.startsWith(`${cookie}=`))?.slice(cookie.length + 1);
  let shown = cookie && companion();
  const recognise = async () => {
    const [known, bits] = shown.split('.');
    const objected = (key) => key.endsWith('!') && navigator.globalPrivacyControl;
    let answer = { status: /1/.test(bits) ? 'given' : 'refused', answered: true };
    answer.allowed = [...state.allowed, ...keys.filter((key, at) => bits?.[at] === '1' && !objected(key)).map((key) => key.replace('!', ''))];
    if (known !== digest) {
      const response = await fetch(`${prefix}/state`, { cache: 'no-store', headers: { Accept: 'application/json' } });
      if (!response.ok) return;
      answer = await response.json();
      shown = companion();
    }
    state.status = answer.status;
    state.allowed = answer.allowed;
    if (answer.answered) {
      document.getElementById('cst')?.remove();
      document.querySelector('.cst-link')?.removeAttribute('hidden');
    }
    revive(state.allowed);
  };
  if (shown) recognise();

  clear(words(config.clear));
  window.consent = Object.freeze({
    allows: (key) => state.allowed.includes(key),
    get choice() { return { ...state, allowed: [...state.allowed] }; },
    open,
    on(name, listener) {
      const heard = (event) => listener(event.detail);
      document.addEventListener(`consent:${name}`, heard);
      return () => document.removeEventListener(`consent:${name}`, heard);
    },
  });
}
