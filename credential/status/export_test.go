package status

// Deflate is the writer of zlib streams, for tests.
var Deflate = deflate
