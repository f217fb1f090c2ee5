package samplecountry

// An Oddity is something about a person that simple software trips over.
type Oddity string

// The oddities. Each is in the first 200 people of any country, and again in
// every further 200, except the last three, which come once in 10 000.
const (
	SingleName         Oddity = "single name"
	NoFamilyName       Oddity = "no family name"
	ThreePartSurname   Oddity = "three-part surname"
	Apostrophe         Oddity = "apostrophe in a name"
	CombiningMark      Oddity = "combining mark in a Latin name"
	DayUnknown         Oddity = "day of birth unknown"
	MonthUnknown       Oddity = "day and month of birth unknown"
	YearUnknown        Oddity = "date of birth unknown"
	NoFather           Oddity = "father not available"
	NoParents          Oddity = "no parent available"
	Twins              Oddity = "twins"
	Adopted            Oddity = "adopted"
	SexNotKnown        Oddity = "sex not known (0)"
	SexNotApplicable   Oddity = "sex not applicable (9)"
	BornAbroad         Oddity = "born abroad"
	Corrected          Oddity = "corrected after registration"
	CorrectedLater     Oddity = "corrected after the default date"
	RegisteredTwice    Oddity = "birth registered twice"
	Deceased           Oddity = "deceased, still in other registries"
	DeceasedLater      Oddity = "deceased after the default date"
	BornLater          Oddity = "born after the default date"
	TurningEighteen    Oddity = "minor about to turn 18"
	NoStreet           Oddity = "address without a street"
	LineBreak          Oddity = "line break in a cell"
	Emoji              Oddity = "emoji in a name"
	ControlCharacter   Oddity = "control character in a name"
	DirectionCharacter Oddity = "direction override in a name"
)

// blockHouseholds is how many households make a block of 200 people.
const blockHouseholds = 40

// rareBlocks is how many blocks have one with the rare oddities.
const rareBlocks = 50

// oddities says which household of a block has which oddity, before the block's
// own rotation, and which member.
var oddities = []struct {
	kind   Oddity
	member int
	rare   bool
}{
	{kind: SingleName, member: 2}, {kind: NoFamilyName, member: 3}, {kind: ThreePartSurname, member: father}, {kind: Apostrophe, member: father},
	{kind: CombiningMark, member: 2}, {kind: DayUnknown, member: father}, {kind: MonthUnknown, member: mother}, {kind: YearUnknown, member: father},
	{kind: NoFather, member: 3}, {kind: NoParents, member: 4}, {kind: Twins, member: 2}, {kind: Adopted, member: 4},
	{kind: SexNotKnown, member: 2}, {kind: SexNotApplicable, member: 3}, {kind: BornAbroad, member: mother}, {kind: Corrected, member: 3},
	{kind: CorrectedLater, member: 3}, {kind: RegisteredTwice, member: 2}, {kind: Deceased, member: father}, {kind: DeceasedLater, member: mother},
	{kind: BornLater, member: 4}, {kind: TurningEighteen, member: 2}, {kind: NoStreet, member: father}, {kind: LineBreak, member: 3},
	{kind: Emoji, member: 4, rare: true}, {kind: ControlCharacter, member: 4, rare: true}, {kind: DirectionCharacter, member: 4, rare: true},
}

// oddityOf returns the oddity of a household, if it has one, and whose it is.
func oddityOf(seed uint64, h int) (Oddity, int) {
	block := h / blockHouseholds
	turn := int(mix(seed+uint64(block)) % blockHouseholds)
	slot := (h + turn) % blockHouseholds
	if slot >= len(oddities) || oddities[slot].rare && block%rareBlocks != 0 {
		return "", 0
	}
	return oddities[slot].kind, oddities[slot].member
}
