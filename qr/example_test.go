package qr_test

import (
	"fmt"

	"github.com/sanad-id/sanad/qr"
)

func Example() {
	text, err := qr.Encode([]byte("the bytes of a signed credential"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, shown := range []string{text, "https://example.org", "hello"} {
		kind := qr.Recognise(shown)
		if !kind.Readable() {
			fmt.Println(kind)
			continue
		}
		message, err := qr.Decode(shown)
		fmt.Printf("%s: %s (%v)\n", kind, message, err)
	}
	// Output:
	// proof: the bytes of a signed credential (<nil>)
	// web_link
	// unknown
}
