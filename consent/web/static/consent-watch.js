/* asgi-consent: parks what scripts add. */
'use strict'; {
  const { hosts, rest } = document.currentScript.dataset;
  const claims = hosts.split(' ').map((claim) => claim.split('='));
  const names = ['src', 'srcset', 'href', 'data'];
  const free = new Set();

  const held = (href) => {
    const { host, pathname } = Object.assign(document.createElement('a'), { href });
    const claim = claims.find(([start]) => RegExp(`^(.+\\.)?${start}/`, 'i').test(`${host}${pathname}/`));
    const key = claim ? claim[1] : host && host !== location.host ? rest : null;
    return free.has(key) || window.consent?.allows?.(key) ? null : key;
  };

  const park = (node, name, value) => {
    if (!names.includes(name) || !node.matches?.(':not(a,area,[rel=canonical],[rel=alternate],[data-consent])')) return;
    const key = value.split(name === 'srcset' ? /[\s,]+/ : '\0').map(held).find((one) => one != null);
    if (key == null) return;
    node.setAttribute(`data-consent-${name}`, value);
    node.setAttribute('data-consent-service', key);
    return true;
  };

  const sweep = (tree) => {
    for (const node of [tree, ...(tree.querySelectorAll?.('[src],[srcset],[href],[data]') || [])]) {
      for (const { name, value } of [...(node.attributes || [])]) {
        if (park(node, name, value)) node.removeAttribute(name);
        if (/^(type|name)$/.test(name) && node.dataset.consentSrc) node.setAttribute(`data-consent-${name}`, value);
      }
    }
  };

  for (const type of Object.getOwnPropertyNames(window)) {
    if (!/^([A-Z].*)?(Element|Node|Data)$/.test(type)) continue;
    const { prototype } = window[type];
    for (const [name, own] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      const kind = own.set ? 'set' : 'value';
      const inner = own[kind];
      if (!inner || !/^(src|href|data|(set|remove)A|(ap|pre)pend|insert|replace|before|after)/.test(name)) continue;
      own[kind] = function (...given) {
        if (name === 'removeAttribute' && given[0] === 'data-consent-service') free.add(this.getAttribute(given[0]));
        for (const node of given) if (node instanceof Node) sweep(node);
        if (!park(this, `${given.at(-2) || name}`.toLowerCase(), `${given.at(-1)}`)) return inner.apply(this, given);
      };
      Object.defineProperty(prototype, name, own);
    }
  }

  new MutationObserver((records) => {
    for (const { addedNodes } of records) addedNodes.forEach(sweep);
  }).observe(document, { subtree: true, childList: true });
  document.addEventListener('consent:change', ({ detail }) => detail.once || free.clear());
}
