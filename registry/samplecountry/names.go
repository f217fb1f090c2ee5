package samplecountry

// A pair is one word in Latin letters and in the local script.
type pair struct{ latin, local string }

// A script is a writing system of the country with the names that go with it.
type script struct {
	code     string // ISO 15924
	language string // BCP 47

	male, female, family []pair
	middle               [2][]pair // usual second names, male and female; nil if not usual
	naming               naming
	familyFirst          bool // full names begin with the family name

	apostrophe pair // a family name with an apostrophe
	accented   pair // a given name whose Latin form has a combining mark (decomposed)
	abroad     foreignPlace

	office, clinic, school, shop localWord
}

// A naming is how a child's names follow from its parents'.
type naming int

const (
	fatherFamily naming = iota // family name of the father, middle name by chance
	fatherGiven                // middle name is the father's given name, family name the father's
	patronymic                 // as fatherGiven with a suffix; the family name has two genders
	ancestors                  // middle name is the father's given, family name the grandfather's
)

// A localWord makes the local name of a place or shop out of another name.
type localWord struct {
	word   string
	before bool   // the word precedes the name
	sep    string // between the two
}

func (w localWord) of(name string) string {
	if w.before {
		return w.word + w.sep + name
	}
	return name + w.sep + w.word
}

// A foreignPlace is where some of those born abroad were born.
type foreignPlace struct {
	name           pair
	alpha2, alpha3 string
}

// scripts are the seven scripts. Names are common ones of the languages, each
// with a usual transliteration.
var scripts = []*script{&bengali, &devanagari, &arabic, &ethiopic, &cyrillic, &khmer, &lao}

var bengali = script{
	code: "Beng", language: "bn",
	male: []pair{
		{"Rahim", "রহিম"}, {"Karim", "করিম"}, {"Hasan", "হাসান"}, {"Anwar", "আনোয়ার"}, {"Jamal", "জামাল"}, {"Kamal", "কামাল"},
		{"Rafiq", "রফিক"}, {"Shafiq", "শফিক"}, {"Tarek", "তারেক"}, {"Mahbub", "মাহবুব"}, {"Nazrul", "নজরুল"}, {"Rashed", "রাশেদ"},
		{"Sohel", "সোহেল"}, {"Arif", "আরিফ"}, {"Imran", "ইমরান"}, {"Habib", "হাবিব"}, {"Monir", "মনির"}, {"Faruk", "ফারুক"},
		{"Babul", "বাবুল"}, {"Ashok", "অশোক"}, {"Bimal", "বিমল"}, {"Dipak", "দীপক"}, {"Gopal", "গোপাল"}, {"Subir", "সুবীর"},
	},
	female: []pair{
		{"Ayesha", "আয়েশা"}, {"Fatema", "ফাতেমা"}, {"Rokeya", "রোকেয়া"}, {"Nasrin", "নাসরিন"}, {"Salma", "সালমা"}, {"Taslima", "তাসলিমা"},
		{"Sharmin", "শারমিন"}, {"Jesmin", "জেসমিন"}, {"Rehana", "রেহানা"}, {"Shirin", "শিরিন"}, {"Farzana", "ফারজানা"}, {"Sultana", "সুলতানা"},
		{"Moushumi", "মৌসুমী"}, {"Lipi", "লিপি"}, {"Sathi", "সাথী"}, {"Anika", "অনিকা"}, {"Mitu", "মিতু"}, {"Ruma", "রুমা"},
		{"Sumaiya", "সুমাইয়া"}, {"Tania", "তানিয়া"}, {"Kakoli", "কাকলি"}, {"Malati", "মালতী"}, {"Purnima", "পূর্ণিমা"}, {"Sabitri", "সাবিত্রী"},
	},
	family: []pair{
		{"Rahman", "রহমান"}, {"Hossain", "হোসেন"}, {"Islam", "ইসলাম"}, {"Ahmed", "আহমেদ"}, {"Chowdhury", "চৌধুরী"}, {"Khan", "খান"},
		{"Sarkar", "সরকার"}, {"Talukder", "তালুকদার"}, {"Mia", "মিয়া"}, {"Sheikh", "শেখ"}, {"Molla", "মোল্লা"}, {"Sikder", "সিকদার"},
		{"Bhuiyan", "ভূঁইয়া"}, {"Mondal", "মন্ডল"}, {"Biswas", "বিশ্বাস"}, {"Das", "দাস"}, {"Roy", "রায়"}, {"Saha", "সাহা"},
		{"Ghosh", "ঘোষ"}, {"Paul", "পাল"}, {"Dey", "দে"}, {"Nath", "নাথ"}, {"Barua", "বড়ুয়া"}, {"Chakma", "চাকমা"},
		{"Haque", "হক"}, {"Kabir", "কবির"}, {"Alam", "আলম"}, {"Uddin", "উদ্দিন"}, {"Akhtar", "আখতার"}, {"Majumder", "মজুমদার"},
		{"Patwary", "পাটোয়ারী"}, {"Mridha", "মৃধা"}, {"Howlader", "হাওলাদার"}, {"Munshi", "মুন্সী"}, {"Kazi", "কাজী"}, {"Siddique", "সিদ্দিক"},
		{"Mahmud", "মাহমুদ"}, {"Karmakar", "কর্মকার"}, {"Bhattacharya", "ভট্টাচার্য"}, {"Debnath", "দেবনাথ"},
	},
	middle: [2][]pair{
		{{"Chandra", "চন্দ্র"}, {"Kumar", "কুমার"}, {"Ali", "আলী"}, {"Abdul", "আবদুল"}},
		{{"Ara", "আরা"}, {"Rani", "রানী"}, {"Jahan", "জাহান"}, {"Banu", "বানু"}},
	},
	apostrophe: pair{"D'Rozario", "ডি'রোজারিও"},
	accented:   pair{"Rene\u0301e", "রেনে"},
	abroad:     foreignPlace{pair{"Kolkata", "কলকাতা"}, "IN", "IND"},
	office:     localWord{"নিবন্ধন কার্যালয়", false, " "},
	clinic:     localWord{"স্বাস্থ্য কেন্দ্র", false, " "},
	school:     localWord{"উচ্চ বিদ্যালয়", false, " "},
	shop:       localWord{"স্টোর", false, " "},
}

var devanagari = script{
	code: "Deva", language: "hi",
	male: []pair{
		{"Ramesh", "रमेश"}, {"Suresh", "सुरेश"}, {"Mahesh", "महेश"}, {"Rajesh", "राजेश"}, {"Vijay", "विजय"}, {"Ajay", "अजय"},
		{"Sanjay", "संजय"}, {"Anil", "अनिल"}, {"Sunil", "सुनील"}, {"Mohan", "मोहन"}, {"Sohan", "सोहन"}, {"Kishan", "किशन"},
		{"Arjun", "अर्जुन"}, {"Ravi", "रवि"}, {"Prakash", "प्रकाश"}, {"Deepak", "दीपक"}, {"Ashok", "अशोक"}, {"Vinod", "विनोद"},
		{"Manoj", "मनोज"}, {"Hari", "हरि"}, {"Gopal", "गोपाल"}, {"Shyam", "श्याम"}, {"Krishna", "कृष्ण"}, {"Vishal", "विशाल"},
	},
	female: []pair{
		{"Sita", "सीता"}, {"Gita", "गीता"}, {"Radha", "राधा"}, {"Meera", "मीरा"}, {"Anita", "अनीता"}, {"Sunita", "सुनीता"},
		{"Kavita", "कविता"}, {"Savita", "सविता"}, {"Lakshmi", "लक्ष्मी"}, {"Saraswati", "सरस्वती"}, {"Parvati", "पार्वती"}, {"Durga", "दुर्गा"},
		{"Asha", "आशा"}, {"Usha", "उषा"}, {"Nisha", "निशा"}, {"Pooja", "पूजा"}, {"Priya", "प्रिया"}, {"Rekha", "रेखा"},
		{"Sushila", "सुशीला"}, {"Kamala", "कमला"}, {"Vimala", "विमला"}, {"Shanti", "शांति"}, {"Maya", "माया"}, {"Jyoti", "ज्योति"},
	},
	family: []pair{
		{"Sharma", "शर्मा"}, {"Verma", "वर्मा"}, {"Gupta", "गुप्ता"}, {"Singh", "सिंह"}, {"Kumar", "कुमार"}, {"Yadav", "यादव"},
		{"Mishra", "मिश्रा"}, {"Pandey", "पाण्डेय"}, {"Tiwari", "तिवारी"}, {"Joshi", "जोशी"}, {"Thapa", "थापा"}, {"Gurung", "गुरुङ"},
		{"Tamang", "तामाङ"}, {"Rai", "राई"}, {"Limbu", "लिम्बू"}, {"Shrestha", "श्रेष्ठ"}, {"Adhikari", "अधिकारी"}, {"Bhandari", "भण्डारी"},
		{"Karki", "कार्की"}, {"Basnet", "बस्नेत"}, {"Chaudhary", "चौधरी"}, {"Patel", "पटेल"}, {"Shah", "शाह"}, {"Mehta", "मेहता"},
		{"Desai", "देसाई"}, {"Kulkarni", "कुलकर्णी"}, {"Patil", "पाटिल"}, {"Jadhav", "जाधव"}, {"Pawar", "पवार"}, {"Shinde", "शिंदे"},
		{"Dubey", "दुबे"}, {"Chauhan", "चौहान"}, {"Rathore", "राठौर"}, {"Saxena", "सक्सेना"}, {"Agarwal", "अग्रवाल"}, {"Jain", "जैन"},
		{"Malik", "मलिक"}, {"Thakur", "ठाकुर"}, {"Bisht", "बिष्ट"}, {"Negi", "नेगी"},
	},
	middle: [2][]pair{
		{{"Prasad", "प्रसाद"}, {"Bahadur", "बहादुर"}, {"Lal", "लाल"}},
		{{"Devi", "देवी"}, {"Kumari", "कुमारी"}, {"Rani", "रानी"}},
	},
	apostrophe: pair{"D'Souza", "डि'सूज़ा"},
	accented:   pair{"Rene\u0301e", "रेने"},
	abroad:     foreignPlace{pair{"Kathmandu", "काठमाण्डू"}, "NP", "NPL"},
	office:     localWord{"पंजीकरण कार्यालय", false, " "},
	clinic:     localWord{"स्वास्थ्य केंद्र", false, " "},
	school:     localWord{"उच्च विद्यालय", false, " "},
	shop:       localWord{"भण्डार", false, " "},
}

var arabic = script{
	code: "Arab", language: "ar",
	male: []pair{
		{"Ahmad", "أحمد"}, {"Muhammad", "محمد"}, {"Ali", "علي"}, {"Hassan", "حسن"}, {"Hussein", "حسين"}, {"Omar", "عمر"},
		{"Khalid", "خالد"}, {"Yusuf", "يوسف"}, {"Ibrahim", "إبراهيم"}, {"Mustafa", "مصطفى"}, {"Mahmoud", "محمود"}, {"Salim", "سليم"},
		{"Karim", "كريم"}, {"Tariq", "طارق"}, {"Nabil", "نبيل"}, {"Jamal", "جمال"}, {"Samir", "سمير"}, {"Faisal", "فيصل"},
		{"Rashid", "راشد"}, {"Walid", "وليد"}, {"Bilal", "بلال"}, {"Hamza", "حمزة"}, {"Zaid", "زيد"}, {"Anwar", "أنور"},
	},
	female: []pair{
		{"Fatima", "فاطمة"}, {"Aisha", "عائشة"}, {"Maryam", "مريم"}, {"Khadija", "خديجة"}, {"Zainab", "زينب"}, {"Layla", "ليلى"},
		{"Nour", "نور"}, {"Huda", "هدى"}, {"Amina", "أمينة"}, {"Salma", "سلمى"}, {"Samira", "سميرة"}, {"Rania", "رانيا"},
		{"Dalal", "دلال"}, {"Hanan", "حنان"}, {"Iman", "إيمان"}, {"Noura", "نورة"}, {"Rasha", "رشا"}, {"Sawsan", "سوسن"},
		{"Widad", "وداد"}, {"Yasmin", "ياسمين"}, {"Zahra", "زهراء"}, {"Basma", "بسمة"}, {"Ghada", "غادة"}, {"Jamila", "جميلة"},
	},
	family: []pair{
		{"Al-Masri", "المصري"}, {"Haddad", "حداد"}, {"Najjar", "نجار"}, {"Khoury", "خوري"}, {"Mansour", "منصور"}, {"Saleh", "صالح"},
		{"Nasser", "ناصر"}, {"Hamdan", "حمدان"}, {"Qasim", "قاسم"}, {"Abdallah", "عبدالله"}, {"Al-Khatib", "الخطيب"}, {"Al-Sayed", "السيد"},
		{"Darwish", "درويش"}, {"Fares", "فارس"}, {"Ghanem", "غانم"}, {"Habib", "حبيب"}, {"Issa", "عيسى"}, {"Jaber", "جابر"},
		{"Kanaan", "كنعان"}, {"Mahdi", "مهدي"}, {"Al-Najdi", "النجدي"}, {"Odeh", "عودة"}, {"Qabbani", "قباني"}, {"Rahal", "رحال"},
		{"Sabbagh", "صباغ"}, {"Shahin", "شاهين"}, {"Tawil", "طويل"}, {"Al-Umari", "العمري"}, {"Yassin", "ياسين"}, {"Zaki", "زكي"},
		{"Barakat", "بركات"}, {"Awad", "عوض"}, {"Bakr", "بكر"}, {"Diab", "دياب"}, {"Hijazi", "حجازي"}, {"Al-Jundi", "الجندي"},
		{"Karam", "كرم"}, {"Murad", "مراد"}, {"Salama", "سلامة"}, {"Zidan", "زيدان"},
	},
	naming:     fatherGiven,
	apostrophe: pair{"Al-Qur'ashi", "القرعشي"},
	accented:   pair{"Rene\u0301e", "رينيه"},
	abroad:     foreignPlace{pair{"Amman", "عمّان"}, "JO", "JOR"},
	office:     localWord{"مكتب السجل المدني في", true, " "},
	clinic:     localWord{"المركز الصحي في", true, " "},
	school:     localWord{"المدرسة الثانوية في", true, " "},
	shop:       localWord{"متجر", true, " "},
}

var ethiopic = script{
	code: "Ethi", language: "am",
	male: []pair{
		{"Abebe", "አበበ"}, {"Bekele", "በቀለ"}, {"Kebede", "ከበደ"}, {"Tesfaye", "ተስፋዬ"}, {"Girma", "ግርማ"}, {"Haile", "ኃይሌ"},
		{"Mulugeta", "ሙሉጌታ"}, {"Tadesse", "ታደሰ"}, {"Alemu", "አለሙ"}, {"Dawit", "ዳዊት"}, {"Yohannes", "ዮሐንስ"}, {"Solomon", "ሰለሞን"},
		{"Daniel", "ዳንኤል"}, {"Getachew", "ጌታቸው"}, {"Mesfin", "መስፍን"}, {"Fikru", "ፍቅሩ"}, {"Berhanu", "ብርሃኑ"}, {"Assefa", "አሰፋ"},
		{"Desta", "ደስታ"}, {"Worku", "ወርቁ"}, {"Lemma", "ለማ"}, {"Negash", "ነጋሽ"}, {"Samuel", "ሳሙኤል"}, {"Yonas", "ዮናስ"},
	},
	female: []pair{
		{"Almaz", "አልማዝ"}, {"Tigist", "ትዕግስት"}, {"Hirut", "ሂሩት"}, {"Genet", "ገነት"}, {"Marta", "ማርታ"}, {"Sara", "ሳራ"},
		{"Selam", "ሰላም"}, {"Bethlehem", "ቤተልሔም"}, {"Meron", "ሜሮን"}, {"Hanna", "ሐና"}, {"Rahel", "ራሔል"}, {"Aster", "አስቴር"},
		{"Zewditu", "ዘውዲቱ"}, {"Mulu", "ሙሉ"}, {"Eden", "ኤደን"}, {"Eleni", "እሌኒ"}, {"Tsehay", "ፀሐይ"}, {"Yeshi", "የሺ"},
		{"Abeba", "አበባ"}, {"Lemlem", "ለምለም"}, {"Konjit", "ቆንጅት"}, {"Senait", "ሰናይት"}, {"Mahlet", "ማህሌት"}, {"Kidist", "ቅድስት"},
	},
	family: []pair{
		{"Wolde", "ወልዴ"}, {"Tekle", "ተክሌ"}, {"Demissie", "ደምሴ"}, {"Gebre", "ገብሬ"}, {"Mekonnen", "መኮንን"}, {"Zewde", "ዘውዴ"},
		{"Ayele", "አየለ"}, {"Shiferaw", "ሽፈራው"}, {"Tilahun", "ጥላሁን"}, {"Wondimu", "ወንድሙ"}, {"Admasu", "አድማሱ"}, {"Belay", "በላይ"},
		{"Chala", "ጫላ"}, {"Dereje", "ደረጄ"}, {"Endale", "እንዳለ"}, {"Fekadu", "ፈቃዱ"}, {"Gizaw", "ግዛው"}, {"Hailu", "ኃይሉ"},
		{"Jemal", "ጀማል"}, {"Kassa", "ካሳ"}, {"Legesse", "ለገሰ"}, {"Mamo", "ማሞ"}, {"Nigussie", "ንጉሴ"}, {"Regassa", "ረጋሳ"},
		{"Seifu", "ሰይፉ"}, {"Taye", "ታዬ"}, {"Urgessa", "ኡርጌሳ"}, {"Wubishet", "ውብሸት"}, {"Yilma", "ይልማ"}, {"Zerihun", "ዘሪሁን"},
		{"Abera", "አበራ"}, {"Bogale", "ቦጋለ"}, {"Debebe", "ደበበ"}, {"Eshetu", "እሸቱ"}, {"Feleke", "ፈለቀ"}, {"Goshu", "ጎሹ"},
		{"Habte", "ሀብቴ"}, {"Kidane", "ኪዳኔ"}, {"Molla", "ሞላ"}, {"Sahle", "ሳህሌ"},
	},
	naming:     ancestors,
	apostrophe: pair{"Ba'eda", "ባዕዳ"},
	accented:   pair{"Rene\u0301e", "ረኔ"},
	abroad:     foreignPlace{pair{"Addis Ababa", "አዲስ አበባ"}, "ET", "ETH"},
	office:     localWord{"የምዝገባ ጽሕፈት ቤት", false, " "},
	clinic:     localWord{"ጤና ጣቢያ", false, " "},
	school:     localWord{"ሁለተኛ ደረጃ ትምህርት ቤት", false, " "},
	shop:       localWord{"ሱቅ", false, " "},
}

var cyrillic = script{
	code: "Cyrl", language: "ru",
	// Only names that end in a consonant: the patronymic is then regular.
	male: []pair{
		{"Ivan", "Иван"}, {"Aleksandr", "Александр"}, {"Viktor", "Виктор"}, {"Boris", "Борис"}, {"Konstantin", "Константин"}, {"Maksim", "Максим"},
		{"Anton", "Антон"}, {"Roman", "Роман"}, {"Denis", "Денис"}, {"Artyom", "Артём"}, {"Oleg", "Олег"}, {"Ruslan", "Руслан"},
		{"Timur", "Тимур"}, {"Azamat", "Азамат"}, {"Bakyt", "Бакыт"}, {"Nurlan", "Нурлан"}, {"Daniyar", "Данияр"}, {"Marat", "Марат"},
		{"Renat", "Ренат"}, {"Stepan", "Степан"}, {"Semyon", "Семён"}, {"Filipp", "Филипп"}, {"Leonid", "Леонид"}, {"Vadim", "Вадим"},
	},
	female: []pair{
		{"Anna", "Анна"}, {"Mariya", "Мария"}, {"Elena", "Елена"}, {"Olga", "Ольга"}, {"Tatyana", "Татьяна"}, {"Natalya", "Наталья"},
		{"Irina", "Ирина"}, {"Svetlana", "Светлана"}, {"Ekaterina", "Екатерина"}, {"Yuliya", "Юлия"}, {"Darya", "Дарья"}, {"Polina", "Полина"},
		{"Kseniya", "Ксения"}, {"Vera", "Вера"}, {"Nadezhda", "Надежда"}, {"Lyubov", "Любовь"}, {"Galina", "Галина"}, {"Nina", "Нина"},
		{"Alina", "Алина"}, {"Aigul", "Айгуль"}, {"Gulnara", "Гульнара"}, {"Zarina", "Зарина"}, {"Asel", "Асель"}, {"Madina", "Мадина"},
	},
	family: []pair{
		{"Ivanov", "Иванов"}, {"Petrov", "Петров"}, {"Sidorov", "Сидоров"}, {"Smirnov", "Смирнов"}, {"Kuznetsov", "Кузнецов"}, {"Popov", "Попов"},
		{"Volkov", "Волков"}, {"Sokolov", "Соколов"}, {"Lebedev", "Лебедев"}, {"Kozlov", "Козлов"}, {"Novikov", "Новиков"}, {"Morozov", "Морозов"},
		{"Orlov", "Орлов"}, {"Makarov", "Макаров"}, {"Nikitin", "Никитин"}, {"Zakharov", "Захаров"}, {"Borisov", "Борисов"}, {"Korolyov", "Королёв"},
		{"Gerasimov", "Герасимов"}, {"Ponomaryov", "Пономарёв"}, {"Grigoryev", "Григорьев"}, {"Lazarev", "Лазарев"}, {"Medvedev", "Медведев"}, {"Yershov", "Ершов"},
		{"Nikulin", "Никулин"}, {"Ryabov", "Рябов"}, {"Tsvetkov", "Цветков"}, {"Danilov", "Данилов"}, {"Zhukov", "Жуков"}, {"Frolov", "Фролов"},
		{"Zhuravlyov", "Журавлёв"}, {"Akhmetov", "Ахметов"}, {"Osmonov", "Осмонов"}, {"Asanov", "Асанов"}, {"Toktogulov", "Токтогулов"}, {"Karimov", "Каримов"},
		{"Yusupov", "Юсупов"}, {"Abdullayev", "Абдуллаев"}, {"Rakhimov", "Рахимов"}, {"Shcherbakov", "Щербаков"},
	},
	naming:     patronymic,
	apostrophe: pair{"D'yakonov", "Дьяконов"},
	accented:   pair{"Rene\u0301e", "Рене"},
	abroad:     foreignPlace{pair{"Almaty", "Алматы"}, "KZ", "KAZ"},
	office:     localWord{"Отдел регистрации,", true, " "},
	clinic:     localWord{"Поликлиника,", true, " "},
	school:     localWord{"Средняя школа,", true, " "},
	shop:       localWord{"Магазин", true, " "},
}

var khmer = script{
	code: "Khmr", language: "km",
	male: []pair{
		{"Sokha", "សុខា"}, {"Dara", "ដារ៉ា"}, {"Vuthy", "វុទ្ធី"}, {"Rithy", "រិទ្ធី"}, {"Samnang", "សំណាង"}, {"Bora", "បូរ៉ា"},
		{"Piseth", "ពិសិដ្ឋ"}, {"Sophal", "សុផល"}, {"Veasna", "វាសនា"}, {"Kosal", "កុសល"}, {"Makara", "មករា"}, {"Ratanak", "រតនៈ"},
		{"Phirun", "ភិរុណ"}, {"Visal", "វិសាល"}, {"Sovann", "សុវណ្ណ"}, {"Narith", "ណារិទ្ធ"}, {"Monyrath", "មុនីរ័ត្ន"}, {"Chamroeun", "ចំរើន"},
		{"Sambath", "សម្បត្តិ"}, {"Kimhong", "គឹមហុង"}, {"Vibol", "វិបុល"}, {"Bunthoeun", "ប៊ុនធឿន"}, {"Thearith", "ធារិទ្ធ"}, {"Sarath", "សារ៉ាត់"},
	},
	female: []pair{
		{"Sreymom", "ស្រីមុំ"}, {"Bopha", "បុប្ផា"}, {"Chanthou", "ចន្ធូ"}, {"Sophea", "សុភា"}, {"Channary", "ចាន់ណារី"}, {"Kunthea", "គន្ធា"},
		{"Leakhena", "លក្ខិណា"}, {"Maly", "ម៉ាលី"}, {"Nary", "ណារី"}, {"Phalla", "ផល្លា"}, {"Pisey", "ពិសី"}, {"Rachana", "រចនា"},
		{"Ravy", "រ៉ាវី"}, {"Sothea", "សុធា"}, {"Sokunthea", "សុគន្ធា"}, {"Sreyleak", "ស្រីល័ក្ខ"}, {"Thida", "ធីតា"}, {"Vanna", "វណ្ណា"},
		{"Theary", "ធារី"}, {"Devi", "ទេវី"}, {"Malis", "ម្លិះ"}, {"Mealea", "មាលា"}, {"Romdoul", "រំដួល"}, {"Sovanny", "សុវណ្ណី"},
	},
	family: []pair{
		{"Sok", "សុខ"}, {"Chan", "ចាន់"}, {"Chea", "ជា"}, {"Heng", "ហេង"}, {"Kim", "គឹម"}, {"Keo", "កែវ"},
		{"Ly", "លី"}, {"Long", "ឡុង"}, {"Meas", "មាស"}, {"Mao", "ម៉ៅ"}, {"Nhem", "ញឹម"}, {"Nop", "ណុប"},
		{"Oum", "អ៊ុំ"}, {"Ouk", "អ៊ុក"}, {"Pich", "ពេជ្រ"}, {"Phan", "ផាន់"}, {"Prak", "ប្រាក់"}, {"Prum", "ព្រំ"},
		{"Rath", "រ័ត្ន"}, {"Ros", "រស់"}, {"Sam", "សំ"}, {"San", "សាន"}, {"Say", "សាយ"}, {"Seng", "សេង"},
		{"Sim", "ស៊ីម"}, {"Som", "សោម"}, {"Son", "សុន"}, {"Tan", "តាន់"}, {"Tep", "ទេព"}, {"Thach", "ថាច់"},
		{"Thon", "ធន់"}, {"Touch", "ទូច"}, {"Un", "អ៊ុន"}, {"Uy", "អ៊ុយ"}, {"Van", "វ៉ាន់"}, {"Vong", "វង្ស"},
		{"Yim", "យឹម"}, {"Yin", "យិន"}, {"Chhim", "ឈឹម"}, {"Chhay", "ឆាយ"},
	},
	familyFirst: true,
	apostrophe:  pair{"D'Almeida", "ដាល់មេដា"},
	accented:    pair{"Rene\u0301e", "រ៉ឺនេ"},
	abroad:      foreignPlace{pair{"Phnom Penh", "ភ្នំពេញ"}, "KH", "KHM"},
	office:      localWord{"ការិយាល័យអត្រានុកូលដ្ឋាន", true, ""},
	clinic:      localWord{"មណ្ឌលសុខភាព", true, ""},
	school:      localWord{"វិទ្យាល័យ", true, ""},
	shop:        localWord{"ហាង", true, " "},
}

var lao = script{
	code: "Laoo", language: "lo",
	male: []pair{
		{"Bounmy", "ບຸນມີ"}, {"Khamphone", "ຄຳພອນ"}, {"Somchai", "ສົມໃຈ"}, {"Somsak", "ສົມສັກ"}, {"Khamla", "ຄຳຫຼ້າ"}, {"Bounthong", "ບຸນທອງ"},
		{"Vilay", "ວິໄລ"}, {"Phonsavanh", "ໂພນສະຫວັນ"}, {"Sisavath", "ສີສະຫວາດ"}, {"Kongkeo", "ກອງແກ້ວ"}, {"Thongchanh", "ທອງຈັນ"}, {"Soulivanh", "ສຸລິວັນ"},
		{"Anousone", "ອານຸສອນ"}, {"Bounlert", "ບຸນເລີດ"}, {"Daovone", "ດາວວອນ"}, {"Inpeng", "ອິນແປງ"}, {"Khamsing", "ຄຳສິງ"}, {"Bounma", "ບຸນມາ"},
		{"Phouvong", "ພູວົງ"}, {"Saysana", "ໄຊຊະນະ"}, {"Souksan", "ສຸກສັນ"}, {"Thavone", "ຖາວອນ"}, {"Vanthong", "ວັນທອງ"}, {"Khamsone", "ຄຳສອນ"},
	},
	female: []pair{
		{"Bouavanh", "ບົວວັນ"}, {"Chansouk", "ຈັນສຸກ"}, {"Douangchai", "ດວງໃຈ"}, {"Keo", "ແກ້ວ"}, {"Khampheng", "ຄຳແພງ"}, {"Latda", "ລັດດາ"},
		{"Manivanh", "ມະນີວັນ"}, {"Maly", "ມາລີ"}, {"Noy", "ນ້ອຍ"}, {"Phonethip", "ພອນທິບ"}, {"Sengdao", "ແສງດາວ"}, {"Sengchan", "ແສງຈັນ"},
		{"Souphaphone", "ສຸພາພອນ"}, {"Somphone", "ສົມພອນ"}, {"Vansy", "ວັນສີ"}, {"Viengkham", "ວຽງຄຳ"}, {"Vilayvanh", "ວິໄລວັນ"}, {"Champa", "ຈຳປາ"},
		{"Chanpheng", "ຈັນເພັງ"}, {"Inthava", "ອິນທະວາ"}, {"Sisouda", "ສີສຸດາ"}, {"Kesone", "ເກສອນ"}, {"Dokmai", "ດອກໄມ້"}, {"Phimpha", "ພິມພາ"},
	},
	family: []pair{
		{"Phommachanh", "ພົມມະຈັນ"}, {"Sengsavang", "ແສງສະຫວ່າງ"}, {"Vongsa", "ວົງສາ"}, {"Inthavong", "ອິນທະວົງ"}, {"Chanthavong", "ຈັນທະວົງ"}, {"Souvannavong", "ສຸວັນນະວົງ"},
		{"Keomany", "ແກ້ວມະນີ"}, {"Phimmasone", "ພິມມະສອນ"}, {"Sayavong", "ໄຊຍະວົງ"}, {"Douangmala", "ດວງມາລາ"}, {"Khounsavath", "ຂຸນສະຫວາດ"}, {"Luangrath", "ຫຼວງລາດ"},
		{"Manivong", "ມະນີວົງ"}, {"Norasing", "ນໍລະສິງ"}, {"Outhai", "ອຸໄທ"}, {"Phengsy", "ເພັງສີ"}, {"Rattanavong", "ລັດຕະນະວົງ"}, {"Sihalath", "ສີຫາລາດ"},
		{"Thammavong", "ທຳມະວົງ"}, {"Vilaysack", "ວິໄລສັກ"}, {"Xaysana", "ໄຊຊະນະ"}, {"Bouphavanh", "ບຸບຜາວັນ"}, {"Chittaphong", "ຈິດຕະພົງ"}, {"Detvongsa", "ເດດວົງສາ"},
		{"Inthisane", "ອິນທິສານ"}, {"Keobounphanh", "ແກ້ວບຸນພັນ"}, {"Khamvongsa", "ຄຳວົງສາ"}, {"Latthavong", "ລັດຖະວົງ"}, {"Mounivong", "ມຸນີວົງ"}, {"Nouanthong", "ນວນທອງ"},
		{"Onemany", "ອ່ອນມະນີ"}, {"Panyasith", "ປັນຍາສິດ"}, {"Phetsalath", "ເພັດສະລາດ"}, {"Sirivong", "ສິຣິວົງ"}, {"Sombath", "ສົມບັດ"}, {"Thepvongsa", "ເທບວົງສາ"},
		{"Vannasy", "ວັນນະສີ"}, {"Vixay", "ວິໄຊ"}, {"Yangsavath", "ຍັງສະຫວາດ"}, {"Duangdara", "ດວງດາລາ"},
	},
	apostrophe: pair{"D'Almeida", "ດາເມດາ"},
	accented:   pair{"Rene\u0301e", "ເຣເນ"},
	abroad:     foreignPlace{pair{"Vientiane", "ວຽງຈັນ"}, "LA", "LAO"},
	office:     localWord{"ຫ້ອງການທະບຽນ", true, ""},
	clinic:     localWord{"ສຸກສາລາ", true, ""},
	school:     localWord{"ໂຮງຮຽນມັດທະຍົມ", true, ""},
	shop:       localWord{"ຮ້ານ", true, " "},
}
