package cbor

// ByLibrary is [Marshal] as the library does all of it.
func ByLibrary(v any) ([]byte, error) { return encoder.Marshal(v) }
