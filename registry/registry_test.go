package registry_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/registry"
)

func columns(t testing.TB, names ...string) *registry.Columns {
	t.Helper()
	c, err := registry.NewColumns(names)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestColumns(t *testing.T) {
	names := []string{"id", "name"}
	c, err := registry.NewColumns(names)
	if err != nil {
		t.Fatal(err)
	}
	names[0] = "spoiled"
	c.Names()[1] = "spoiled"
	if got := strings.Join(c.Names(), " "); got != "id name" || c.Len() != 2 {
		t.Errorf("%d columns %s, want id name", c.Len(), got)
	}
	if i, ok := c.Index("name"); i != 1 || !ok {
		t.Errorf("Index: %d, %t", i, ok)
	}
	if _, ok := c.Index("spoiled"); ok {
		t.Error("Index finds a column that is not there")
	}
	_, err = registry.NewColumns([]string{"a", "b", "c", "b"})
	if err == nil || !strings.Contains(err.Error(), `columns 2 and 4 are both called "b"`) {
		t.Errorf("NewColumns: %v, want both places and the name", err)
	}
	long := strings.Repeat("ক", 100)
	if _, err := registry.NewColumns([]string{long, long}); err == nil || len(err.Error()) > 200 {
		t.Errorf("NewColumns with long names: %v", err)
	}
}

func TestRecord(t *testing.T) {
	r := registry.NewRecord("7", 3, columns(t, "id", "name"), []string{"7", "Rahim"})
	if v, ok := r.Value("name"); v != "Rahim" || !ok {
		t.Errorf("Value: %q, %t", v, ok)
	}
	if v, ok := r.Value("age"); v != "" || ok {
		t.Errorf("Value of a column that is not there: %q, %t", v, ok)
	}
	if r.At(0) != "7" || r.Columns().Len() != 2 {
		t.Error("At or Columns is not that of the record")
	}
	if v, ok := (registry.Record{ID: "7"}).Value("name"); v != "" || ok {
		t.Errorf("Value of an empty record: %q, %t", v, ok)
	}
	defer func() {
		if recover() == nil {
			t.Error("NewRecord takes one value for two columns")
		}
	}()
	registry.NewRecord("7", 3, columns(t, "id", "name"), []string{"7"})
}

// A record prints as its position only, whatever prints it.
func TestRecordsDoNotPrint(t *testing.T) {
	r := registry.NewRecord("secret-id", 3, columns(t, "id", "name"), []string{"secret-id", "secret-name"})
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("read", "record", r)
	change := registry.Change{Kind: registry.Added, Record: r}
	for _, text := range []string{
		fmt.Sprint(r), fmt.Sprintf("%v %+v %#v %s %q", r, r, r, r, r), fmt.Sprintf("%v %+v %#v", &r, &r, &r), log.String(),
		fmt.Sprintf("%v %+v %#v", change, change, change),
	} {
		if strings.Contains(text, "secret") || !strings.Contains(text, "line 3") {
			t.Errorf("a record prints as %s", text)
		}
	}
}

func ExampleRecord() {
	columns, err := registry.NewColumns([]string{"licence_number", "trade_name"})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := registry.NewRecord("TL-7", 12, columns, []string{"TL-7", "Rahim Stores"})
	name, ok := r.Value("trade_name")
	fmt.Println(name, ok)
	fmt.Println(r) // never its content
	// Output:
	// Rahim Stores true
	// record at line 12
}

// A digest tells records apart by what stands where, not by the order of columns.
func TestDigester(t *testing.T) {
	digest := func(names, values []string) [32]byte {
		c := columns(t, names...)
		return registry.NewDigester(c).Record(registry.NewRecord("7", 1, c, values))
	}
	want := digest([]string{"id", "name", "born"}, []string{"7", "Rahim", "1984"})
	if digest([]string{"born", "id", "name"}, []string{"1984", "7", "Rahim"}) != want {
		t.Error("it depends on the order of columns")
	}
	for _, tt := range []struct{ names, values []string }{
		{[]string{"id", "name", "born"}, []string{"7", "Rahim", "1985"}},
		{[]string{"id", "name", "born"}, []string{"7", "1984", "Rahim"}},
		{[]string{"id", "name", "died"}, []string{"7", "Rahim", "1984"}},
		{[]string{"id", "name"}, []string{"7", "Rahim1984"}},
	} {
		if digest(tt.names, tt.values) == want {
			t.Errorf("%q %q has the same digest", tt.names, tt.values)
		}
	}
	d := registry.NewDigester(columns(t, "id", "version"))
	one := d.Value("1")
	if one == d.Value("2") || one != d.Value("1") || one == registry.NewDigester(columns(t, "id", "v")).Value("1") {
		t.Error("Value does not stand for one value of these columns")
	}
}
