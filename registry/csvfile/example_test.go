package csvfile_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/csvfile"
)

// A file of a registry is read record by record; a line that is broken is
// reported and does not stop the rest.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "traders.csv")
	const file = "Licence;Trade name\nTL-1;\"Rahim; Sons\"\nTL-2;Green \"Grocer\nTL-3;ຮ້ານ ບຸນເລີດ\n"
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	source, err := csvfile.Open(path, csvfile.Options{IDColumn: "Licence"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for record, err := range source.Records(context.Background()) {
		if row, ok := errors.AsType[*registry.RowError](err); ok {
			fmt.Println("not read:", row)
			continue
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		name, _ := record.Value("Trade name")
		fmt.Println(record.ID, name)
	}
	// Output:
	// TL-1 Rahim; Sons
	// not read: line 3: a quote inside cell 2, which does not begin with one
	// TL-3 ຮ້ານ ບຸນເລີດ
}
