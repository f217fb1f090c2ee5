package cose

// VerifyBytes is the function that every signature goes through, for vectors
// that are signatures and not messages.
var VerifyBytes = verify

// FixedLength reads what a signer returns.
var FixedLength = fixedLength
