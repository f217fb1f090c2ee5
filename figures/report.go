package figures

import "time"

// A Report is the account of a pilot over a period: what there is to say at the end of
// it, without anything about a person. Words in it are in the language that it was made
// in. It is what a page shows and what a document is made of.
type Report struct {
	// Issuer is the registrar, Office the office that it is about, "" for all.
	Issuer, Office string
	// From and To are the first and the last day, Made when it was made.
	From, To, Made time.Time
	// Totals are the sums of the period.
	Totals []Line
	// Programmes are the sums by office and programme.
	Programmes []ProgrammeLine
	// Reasons are those of revocations, Faults what was wrong with records in batches,
	// the most frequent first.
	Reasons, Faults []Line
	// Times are how long steps took.
	Times []TimeLine
	// Days are the days on which something was issued, with how many.
	Days []DayLine
	// PerDay is how many were issued on such a day on average.
	PerDay float64
	// Unknown are keys of what this issuer cannot know, such as how often a certificate
	// was checked: verifiers do not tell it.
	Unknown []string
}

// A Line is a number with its name.
type Line struct {
	Code, Name string
	N          int64
}

// A ProgrammeLine is what happened to certificates of one programme in one office.
type ProgrammeLine struct {
	Office, Programme, Name                                       string
	Issued, Wallet, Replaced, Revoked, Suspended, Resumed, Failed int64
}

// A TimeLine is how long a step took: how often it was taken, and the mean and the
// longest time.
type TimeLine struct {
	Code, Name    string
	N             int64
	Mean, Longest time.Duration
}

// A DayLine is a day.
type DayLine struct {
	Day time.Time
	N   int64
}
