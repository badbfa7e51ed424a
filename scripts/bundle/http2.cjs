// Instead of undici's client for HTTP/2, which loads Node's: our agents never offer it, so no server chooses it.
module.exports = () => {
  throw new Error('HTTP/2 was chosen and never offered');
};
