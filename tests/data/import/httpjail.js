// what the build needs
const registries = ['registry.example.com', 'npm.example.com'];
registries.includes(r.host)
  || (r.host === 'api.example.com' && r.method === 'GET' && r.path.startsWith('/v1/'))
  || /^(.*\.)?cdn\.example\.com$/.test(r.host)
  || r.method === 'HEAD'
  || r.host.endsWith('.internal.example.com')
