package cbor

// Append appends v as [Marshal] writes it: here by the library, since a page encodes little
// and what sorts the keys of maps is 10 kB to load.
func Append(b []byte, v any) ([]byte, error) { return appendByLibrary(b, v) }
