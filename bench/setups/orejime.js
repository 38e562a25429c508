window.orejimeConfig = {
  privacyPolicyUrl: '/policies/privacy',
  cookie: { duration: 183 },
  purposes: [
    {
      id: 'functional', title: 'Extra functions',
      description: 'Functions you can use but do not have to, such as comments, chat or donations.',
      purposes: [{ id: 'postbox', title: 'Postbox Comments', cookies: [] }]
    },
    {
      id: 'analytics', title: 'Statistics',
      description: 'Counting visits and seeing which pages are read, so that we can improve them.',
      purposes: [{ id: 'readers', title: 'Reader statistics', cookies: [] }, { id: 'heatline', title: 'Heatline', cookies: [] }]
    },
    {
      id: 'marketing', title: 'Advertising',
      description: 'Showing advertisements, measuring them, and choosing them by what you do here and elsewhere.',
      purposes: [{ id: 'adquay', title: 'Adquay', cookies: [] }]
    },
    {
      id: 'media', title: 'Embedded content',
      description: 'Videos, posts, maps and fonts that come straight from other companies.',
      purposes: [{ id: 'lanternreel', title: 'Lanternreel', cookies: [] }, { id: 'chirrup', title: 'Chirrup', cookies: [] }]
    }
  ],
  translations: {
    banner: {
      title: 'The Meridian asks for your choice',
      description: '6 services would use data about you for {purposes}. Your choice holds for 6 months. {privacyPolicy}',
      accept: 'Accept all',
      decline: 'Reject all',
      configure: 'Choose'
    }
  }
};
