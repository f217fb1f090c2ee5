package work

var (
	Fold      = fold
	Skeletons = skeletons
)
