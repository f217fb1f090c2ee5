package image_test

import (
	"fmt"

	"github.com/sanad-id/sanad/qr/image"
)

func Example() {
	code, err := image.Draw("NCFOXN%TS3DH3ZSUZK+.V0ETD%65NL-AH", image.M)
	if err != nil {
		fmt.Println(err)
		return
	}
	picture, err := code.PNG(5)
	if err != nil {
		fmt.Println(err)
		return
	}
	texts, err := image.Read(picture)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("version", code.Version(), texts)
	// Output: version 2 [NCFOXN%TS3DH3ZSUZK+.V0ETD%65NL-AH]
}
