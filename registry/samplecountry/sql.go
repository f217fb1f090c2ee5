package samplecountry

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// A View is a view of a registry for one kind of credential: the columns that a
// programme asks for, by the names it calls them, and the records that are in
// force.
type View struct {
	Name    string
	Columns []string
	// Where is the condition in SQL; empty for all records.
	Where string
}

// The views are those that the programmes of examples/programmes read.
var views = map[string][]View{
	"births": {{"birth_certificate", []string{
		"registration_number", "given_names", "middle_names", "family_name", "given_names_local", "middle_names_local", "family_name_local", "language",
		"date_of_birth", "sex", "place_of_birth_code", "country_of_birth", "mother_name", "mother_name_local", "father_name", "father_name_local",
		"registration_date", "registration_office_code", "mother_national_number", "father_national_number",
	}, ""}},
	"farmers": {{"farmer_card", []string{
		"farmerID", "fullName", "dateOfBirth", "gender", "villageOrTown", "district", "state", "landArea", "landOwnershipType", "primaryCropType",
		"secondaryCropType",
	}, ""}},
	"trade_licences": {{"trade_licence", []string{
		"licence_number", "licence_status", "trade_name", "trade_name_local", "licence_type", "application_type", "activities", "owner_name",
		"premises_street", "premises_locality", "premises_district", "financial_year", "issued_date", "valid_from", "valid_to", "municipality",
	}, `"licence_status" = 'ACTIVE'`}},
	"school_certificates": {{"school_certificate", []string{
		"certificate_number", "other_names", "surname", "full_name_local", "date_of_birth", "sex", "school_name", "school_code", "examination_session",
		"qualification", "programme", "level_isced", "award_date", "result", "subjects",
	}, ""}},
	"beneficiaries": {{"g2p_beneficiary", []string{
		"beneficiary_id", "enrollment_status", "given_name", "surname", "full_name_local", "programme_identifier", "implementing_institution",
		"assistance_unit", "household_size", "enrollment_date", "benefit_type", "benefit_value", "benefit_currency", "benefit_frequency",
		"entitlement_count", "valid_from", "valid_until", "redemption_area_name", "alternate_collector",
	}, `"enrollment_status" = 'ENROLLED'`}},
	"vaccinations": {{"vaccination_dose", []string{
		"certificateId", "recipientName", "recipientNameLocal", "recipientDOB", "recipientGender", "disease", "vaccinationName",
		"vaccinationManufacturer", "vaccinationBatch", "vaccinationDose", "vaccinationTotalDoses", "vaccinationDate", "facilityName",
	}, ""}},
}

// maxInsert is how long a statement becomes, about, in bytes. SQLite takes a
// million.
const maxInsert = 200_000

// WriteSQL writes a registry as a script that SQLite and PostgreSQL both run as it
// stands: a table with the registry's name, all columns text and the first one
// its primary key, and the registry's views. It is UTF-8; Delimiter and Encoding
// must not be set. The rows are those of Write.
func WriteSQL(ctx context.Context, c Config, registry string, w io.Writer) error {
	if c.Delimiter != 0 || c.Encoding != "" {
		return fmt.Errorf("samplecountry: delimiter and encoding are of CSV files")
	}
	rows, err := Rows(c, registry)
	if err != nil {
		return err
	}
	t, err := find(registry)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 256<<10)
	date := c.Date
	if date.IsZero() {
		date = DefaultDate
	}
	fmt.Fprintf(out, "-- %s of the sample country (seed %d, %d persons, %s), for SQLite and PostgreSQL. No real person is in it.\n",
		registry, c.Seed, c.Persons, date.Format(time.DateOnly))
	fmt.Fprintf(out, "CREATE TABLE %s (\n", quoteName(registry))
	for i, column := range t.columns {
		kind := "TEXT,"
		switch i {
		case 0:
			kind = "TEXT PRIMARY KEY,"
		case len(t.columns) - 1:
			kind = "TEXT"
		}
		fmt.Fprintf(out, "  %s %s\n", quoteName(column.Name), kind)
	}
	fmt.Fprintf(out, ");\nBEGIN;\n")
	insert := "INSERT INTO " + quoteName(registry) + " VALUES\n"
	b := make([]byte, 0, maxInsert+8<<10)
	for row := range rows {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("write %s: %w", registry, err)
		}
		if len(b) == 0 {
			b = append(b, insert...)
		} else {
			b = append(b, ",\n"...)
		}
		b = append(b, '(')
		for i, v := range row {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendLiteral(b, v)
		}
		b = append(b, ')')
		if len(b) > maxInsert {
			if _, err := out.Write(append(b, ";\n"...)); err != nil {
				return fmt.Errorf("write %s: %w", registry, err)
			}
			b = b[:0]
		}
	}
	if len(b) > 0 {
		b = append(b, ";\n"...)
	}
	fmt.Fprintf(out, "%sCOMMIT;\n", b) // an error stays with out until Flush
	for _, v := range views[registry] {
		names := make([]string, len(v.Columns))
		for i, n := range v.Columns {
			names[i] = quoteName(n)
		}
		where := ""
		if v.Where != "" {
			where = "\n  WHERE " + v.Where
		}
		fmt.Fprintf(out, "CREATE VIEW %s AS SELECT %s\n  FROM %s%s;\n", quoteName(v.Name), strings.Join(names, ", "), quoteName(registry), where)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", registry, err)
	}
	return nil
}

// quoteName quotes an identifier as the standard has it, so that it keeps its
// capitals.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// appendLiteral appends a text in quotes. A backslash is an ordinary character in
// both databases (in PostgreSQL since standard_conforming_strings is on).
func appendLiteral(b []byte, v string) []byte {
	b = append(b, '\'')
	for {
		i := strings.IndexByte(v, '\'')
		if i < 0 {
			break
		}
		b = append(append(b, v[:i]...), "''"...)
		v = v[i+1:]
	}
	return append(append(b, v...), '\'')
}
