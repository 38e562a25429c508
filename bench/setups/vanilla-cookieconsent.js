CookieConsent.run({
  guiOptions: {
    consentModal: { layout: 'bar', position: 'bottom', equalWeightButtons: true },
    preferencesModal: { layout: 'box', equalWeightButtons: true }
  },
  categories: {
    necessary: { enabled: true, readOnly: true },
    functional: { services: { postbox: { label: 'Postbox Comments' } } },
    analytics: { services: { readers: { label: 'Reader statistics' }, heatline: { label: 'Heatline' } } },
    marketing: { services: { adquay: { label: 'Adquay' } } },
    media: { services: { lanternreel: { label: 'Lanternreel' }, chirrup: { label: 'Chirrup' } } }
  },
  language: {
    default: 'en',
    translations: {
      en: {
        consentModal: {
          title: 'The Meridian asks for your choice',
          description: '6 services would use data about you for Extra functions, Statistics, Advertising, Embedded content. Your choice holds for 6 months.',
          acceptAllBtn: 'Accept all',
          acceptNecessaryBtn: 'Reject all',
          showPreferencesBtn: 'Choose',
          footer: '<a href="/policies/privacy">Privacy policy</a> <a href="/policies/cookies">Cookie policy</a>'
        },
        preferencesModal: {
          title: 'Your choices',
          acceptAllBtn: 'Accept all',
          acceptNecessaryBtn: 'Reject all',
          savePreferencesBtn: 'Save',
          closeIconLabel: 'Close',
          serviceCounterLabel: 'services',
          sections: [
            { title: 'Strictly necessary', description: 'What the site cannot work without, such as remembering this choice.', linkedCategory: 'necessary' },
            { title: 'Extra functions', description: 'Functions you can use but do not have to, such as comments, chat or donations.', linkedCategory: 'functional' },
            { title: 'Statistics', description: 'Counting visits and seeing which pages are read, so that we can improve them.', linkedCategory: 'analytics' },
            { title: 'Advertising', description: 'Showing advertisements, measuring them, and choosing them by what you do here and elsewhere.', linkedCategory: 'marketing' },
            { title: 'Embedded content', description: 'Videos, posts, maps and fonts that come straight from other companies.', linkedCategory: 'media' }
          ]
        }
      }
    }
  }
});
