package crosswalk_test

import (
	"fmt"

	"github.com/sanad-id/sanad/programme/crosswalk"
)

// A registry writes dates as day-month-year and does not know every day.
func Example() {
	format, err := crosswalk.ParseFormat("DD-MM-YYYY", nil)
	if err != nil {
		panic(err)
	}
	for _, text := range []string{"25-05-1990", "00-00-1990"} {
		date, err := format.Parse(text)
		if err != nil {
			panic(err)
		}
		claim, err := date.Claim169()
		fmt.Printf("%s: %q, %v\n", date, claim, err)
	}

	sex, _ := crosswalk.ParseSex("Unknown", nil)
	_, err = sex.Claim169()
	fmt.Println(err)
	// Output:
	// 1990-05-25: "19900525", <nil>
	// 1990: "", date: month and day are unknown, which Claim 169 cannot say
	// sex: Claim 169 has no code for not known
}
