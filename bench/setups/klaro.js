var klaroConfig = {
  version: 1,
  acceptAll: true,
  lang: 'en',
  translations: {
    zz: { privacyPolicyUrl: '/policies/privacy' },
    en: {
      acceptAll: 'Accept all',
      ok: 'Accept all',
      decline: 'Reject all',
      consentNotice: {
        description: 'The Meridian asks for your choice. 6 services would use data about you for {purposes}. Your choice holds for 6 months.',
        learnMore: 'Choose'
      },
      purposes: {
        functions: { title: 'Extra functions', description: 'Functions you can use but do not have to, such as comments, chat or donations.' },
        analytics: { title: 'Statistics', description: 'Counting visits and seeing which pages are read, so that we can improve them.' },
        marketing: { title: 'Advertising', description: 'Showing advertisements, measuring them, and choosing them by what you do here and elsewhere.' },
        media: { title: 'Embedded content', description: 'Videos, posts, maps and fonts that come straight from other companies.' }
      }
    }
  },
  cookieExpiresAfterDays: 183,
  services: [
    { name: 'postbox', title: 'Postbox Comments', purposes: ['functions'] },
    { name: 'readers', title: 'Reader statistics', purposes: ['analytics'] },
    { name: 'heatline', title: 'Heatline', purposes: ['analytics'] },
    { name: 'adquay', title: 'Adquay', purposes: ['marketing'] },
    { name: 'lanternreel', title: 'Lanternreel', purposes: ['media'] },
    { name: 'chirrup', title: 'Chirrup', purposes: ['media'] }
  ]
};
