/** Made up; the receiver checks signatures with them. */
export const KEYS = { accessKey: 'bench-access', secretKey: 'bench-secret' }
