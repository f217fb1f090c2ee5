package programme_test

import (
	"fmt"
	"time"

	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
)

// A programme file, and two records of the registry it is written for.
func Example() {
	p, err := programme.Parse([]byte(`
id: fishing-licence
version: 1
type: urn:xx:fishing-licence:1
labels: {en: Fishing licence}
records: {id_column: LICENCE_NO}
validity: {for: 1y}
freshness: {fresh_for: 3d, old_after: 14d}
claims:
  - name: licence_number
    labels: {en: Licence number}
    type: text
    key: 1
    required: true
    from: LICENCE_NO
  - name: boat_length
    labels: {en: Length of the boat}
    type: number
    key: 2
    from: LENGTH
forms:
  qr: {level: M}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	columns, err := registry.NewColumns([]string{"LICENCE_NO", "LENGTH"})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)
	for i, cells := range [][]string{{"FL-1", "7.5"}, {"FL-2", "about 8 m"}} {
		content, problems := p.Map(registry.NewRecord(cells[0], i+2, columns, cells), now)
		for _, problem := range problems {
			fmt.Println(problem)
		}
		if !programme.Fatal(problems) {
			fmt.Println(content.Token("qr").Fields, "until", content.Expires().Format(time.DateOnly))
		}
	}
	// Output:
	// map[1:FL-1 2:7.5] until 2027-01-15
	// line 3: boat_length (column LENGTH): not_a_number: is not a number with digits and at most one decimal point
}
