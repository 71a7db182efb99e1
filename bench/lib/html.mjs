export const html = () => ''
