//! Traditional Chinese.

use super::{Unit, Words, in_units};
use crate::{
    accounts::{email::EmailError, password::PasswordTooLong, password::WeakPassword, username::UsernameError},
    http::{problem::Kind, reason::Reason},
    sessions::session::{Level, Method},
};

pub(crate) const WORDS: Words = Words {
    tag: "zh-Hant",
    ranges: &["zh-hant", "zh-tw", "zh-hk", "zh-mo", "zh"],
    own_name: "繁體中文",

    skip_to_content: "跳到主要內容",
    navigation: "您的帳號",
    language: "語言",
    account: "帳號",
    security: "安全性",
    sessions: "登入裝置",
    log_in: "登入",
    log_out: "登出",
    register: "建立帳號",
    insecure: "此服務設定為未加密的 http。瀏覽器會捨棄它的 Cookie，因此無法維持登入：請在前端加上 TLS。",

    home_title: "一次登入，安心無虞",
    home_lead: "您可以在這裡登入、以第二道步驟保護帳號，並查看您在哪些地方登入。",
    home_points: [
        ("兩步驟驗證", "任何驗證器應用程式皆可使用。單憑偷來的密碼無法登入。"),
        ("登入裝置一目瞭然", "每部裝置的位址與最近使用時間都看得到，並可立即登出任何一部。"),
        ("猜密碼沒有用", "錯誤的密碼會被減速，而您不會因此被鎖在門外。"),
    ],
    home_signed_in_as: "您目前登入的帳號是",
    home_to_account: "前往您的帳號",
    home_for_developers: "開發人員專用：API",

    login_title: "登入",
    username: "使用者名稱",
    username_hint: "3 至 64 個字母、數字或 . _ - @ +",
    password: "密碼",
    password_hint: |min| format!("至少 {min} 個字元。幾個隨機的詞就是好密碼。"),
    show: "顯示",
    hide: "隱藏",
    email: "電子郵件",
    optional: "選填",
    no_account_yet: "還沒有帳號？",
    register_title: "建立帳號",
    have_account: "已經有帳號了？",
    verify_title: "第二道步驟",
    verify_lead: "請開啟驗證器應用程式，輸入此帳號顯示的驗證碼。",
    code: "六位數驗證碼",
    code_hint: "每 30 秒更換一次，且只能使用一次。",
    verify_button: "繼續",
    lost_authenticator: "驗證器不在手邊？",
    recovery_code: "救援碼",
    recovery_code_hint: "您儲存的十組救援碼之一；使用後即失效。",
    use_recovery_code: "使用救援碼",
    start_over: "重新開始",

    account_title: "您的帳號",
    member_since: "註冊時間",
    two_step: "兩步驟驗證",
    is_on: "已開啟",
    is_off: "已關閉",
    this_session: "本次登入",
    session_began: "登入時間",
    session_ends: "到期時間",
    session_ends_hint: "若閒置未用會提早到期",
    logged_in_with: "登入方式",
    methods: |methods| match Level::of(methods) {
        Level::Aal1 => match methods.contains(&Method::Otp) {
            true => "一次性驗證碼",
            false => "密碼",
        },
        Level::Aal2 => "密碼與第二道步驟",
    },
    advice_title: "加上第二道步驟",
    advice: "您的帳號目前只靠密碼保護。加上手機驗證碼後，單憑偷來的密碼便無法登入。",
    turn_on_two_step: "開啟兩步驟驗證",
    manage_security: "密碼與兩步驟驗證",
    see_sessions: "查看登入裝置",

    security_title: "安全性",
    change_password: "變更密碼",
    change_password_lead: "您在這裡會保持登入；其他所有裝置都會登出。",
    current_password: "目前的密碼",
    new_password: "新密碼",
    two_step_off_lead: "登入時除了密碼，還會要求輸入手機驗證器應用程式的驗證碼。",
    two_step_on_lead: "登入時需要密碼，以及驗證器應用程式的驗證碼。",
    set_up_two_step: "開始設定",
    your_password: "您的密碼",
    new_recovery_codes: "新的救援碼",
    new_recovery_codes_lead: "產生十組新的救援碼，舊的隨即失效。",
    make_recovery_codes: "產生新的救援碼",
    turn_off_two_step: "關閉兩步驟驗證",
    turn_off_lead: "之後單憑密碼即可登入您的帳號；其他所有裝置都會登出。",
    code_or_recovery_code: "請擇一填寫：六位數驗證碼，或一組救援碼。",

    set_up_title: "設定兩步驟驗證",
    set_up_scan: "用驗證器應用程式掃描",
    set_up_scan_lead: "任何一次性驗證碼應用程式皆可。此畫面只顯示一次，請在十分鐘內完成確認。",
    qr_label: "內含驗證器金鑰的 QR 碼",
    open_authenticator: "用此裝置上的應用程式開啟",
    type_secret: "無法掃描？請改為輸入此金鑰：",
    set_up_confirm: "輸入應用程式顯示的驗證碼",
    set_up_confirm_lead: "完成後兩步驟驗證才會開啟，其他所有裝置也會登出。",
    set_up_again_lead: "金鑰已在您的應用程式中，不會再次顯示。若應用程式裡沒有，請取消後重新開始。",
    turn_on: "開啟",
    cancel: "取消",
    copy: "複製",
    copied: "已複製",

    codes_title: "您的救援碼",
    codes_turned_on: "兩步驟驗證已開啟。",
    codes_lead: "請把這些救援碼存放在手機不在身邊時也找得到的地方。每組可代替應用程式的驗證碼登入一次。此畫面只顯示這一次。",
    download: "下載",
    print: "列印",
    codes_saved: "我已儲存",
    codes_file: "救援碼。每組可代替驗證器應用程式的驗證碼使用一次。",

    sessions_title: "您的登入裝置",
    sessions_lead: "請登出不認得或不再使用的裝置。若有不認得的，也請變更密碼。",
    current: "本次登入",
    unknown_device: "不明裝置",
    browser_on_system: |browser, system| format!("{system} 上的 {browser}"),
    address: "位址",
    last_seen: "最近使用",
    began: "登入時間",
    end_session: "登出此裝置",
    end_others: "登出其他所有裝置",
    only_session: "您沒有在其他地方登入。",

    ago: |seconds| match in_units(seconds) {
        (..60, Unit::Second) => "剛剛".to_owned(),
        (count, unit) => format!("{}前", counted(count, unit)),
    },
    duration: |seconds| {
        let (count, unit) = in_units(seconds);
        counted(count, unit)
    },
    retry_before: "您可以在 ",
    retry_after: "後再試一次。",
    retry_now: "現在可以再試一次。",

    registered: "歡迎！您的帳號已建立。",
    logged_out: "您已登出。",
    password_changed: "密碼已變更，其他所有裝置都已登出。",
    two_step_turned_off: "兩步驟驗證已關閉，其他所有裝置都已登出。",
    session_ended: "該裝置已登出。",
    sessions_ended: "其他所有裝置都已登出。",

    wrong_password: ("密碼錯誤", "沒有任何內容被更動，請再試一次。"),
    check_fields: "請檢查下方標示的欄位。",
    try_again: "再試一次",
    back: "返回",
    to_start: "回到首頁",
    problem,
    reason,
};

fn counted(count: i64, unit: Unit) -> String {
    let unit = match unit {
        Unit::Second => "秒",
        Unit::Minute => "分鐘",
        Unit::Hour => "小時",
        Unit::Day => "天",
    };
    format!("{count} {unit}")
}

fn problem(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::InvalidCredentials => {
            ("使用者名稱或密碼錯誤", "請檢查後再試一次。猜錯次數過多時，帳號只接受曾經登入過的裝置。")
        }
        Kind::InvalidCode => ("驗證碼錯誤", "驗證碼不正確或已使用過。請等待下一組，並確認手機時間是否正確。"),
        Kind::LoginExpired => ("請重新登入", "登入逾時，或輸入錯誤的驗證碼太多次。請從密碼重新開始。"),
        Kind::SessionRequired => ("請先登入", "您尚未登入，或登入已到期。"),
        Kind::WeakPassword => ("請換一個密碼", "這個密碼很容易被猜中。"),
        Kind::UsernameTaken => ("已有人使用", "這個名稱或地址已有人使用。"),
        Kind::InvalidInput => ("資料有缺漏或錯誤", "請檢查您輸入的內容。"),
        Kind::CrossOrigin => ("這個要求來自其他網站", "另一個網站試圖以您的名義在此做變更。沒有任何內容被更動。"),
        Kind::NotFound => ("這裡沒有內容", "網址有誤，或原本的內容已不存在。"),
        Kind::TotpAlreadyEnabled => ("已經開啟了", "若要重新設定，請先關閉兩步驟驗證。"),
        Kind::TotpNotStarted => ("請重新開始設定", "設定時限為十分鐘，最多可輸入錯誤十次。"),
        Kind::TotpNotEnabled => ("目前是關閉的", "請先開啟兩步驟驗證。"),
        Kind::ChangedMeanwhile => ("資料剛剛有變動", "另一個要求先變更了您的帳號。請重新檢視後再試。"),
        Kind::RateLimited => ("嘗試次數過多", "為了防止猜測密碼，一段時間內只接受一定次數的嘗試。"),
        Kind::Unavailable => {
            ("目前無法使用", "系統忙碌中，或暫時無法存取資料。如果您剛送出了資料，請先查看是否已經完成，再重新送出。")
        }
        Kind::Internal => ("發生錯誤", "這是我們的問題，已經記錄下來。"),
        Kind::MethodNotAllowed => ("無法這樣操作", "這個網址另有用途。"),
        Kind::RequestTimeout => ("等候過久", "您的要求未能及時送達，請再試一次。"),
        Kind::BodyTooLarge => ("內容過大", "最多只接受 64 KiB。"),
        Kind::UnsupportedMediaType | Kind::MalformedRequest | Kind::AmbiguousCredentials => {
            ("無法讀取", "這不是本站頁面送出的要求。")
        }
        Kind::SecondFactorRequired => ("需要第二道步驟", "此處需要以兩步驟驗證登入。"),
    }
}

fn reason(reason: Reason) -> String {
    match reason {
        Reason::Missing | Reason::NoSecondStep => "請填寫此欄位。",
        Reason::Unknown | Reason::Repeated | Reason::WrongType | Reason::NoObject => {
            "頁面送出的內容不如預期，請重新載入頁面。"
        }
        Reason::Taken => "已有人使用，請換一個。",
        Reason::TwoSecondSteps => "請擇一填寫，不要兩個都填。",
        Reason::NoSuchLanguage => "本站沒有這個語言。",
        Reason::NoRecoveryCode => "這不是救援碼。",
        Reason::Username(UsernameError::Length) => "長度須為 3 至 64 個字元。",
        Reason::Username(UsernameError::Character) => "只能使用字母、數字與 . _ - @ +。",
        Reason::Email(EmailError) => "這不是可用的電子郵件地址，例如 ada@example.org。",
        Reason::TooLong(PasswordTooLong) => "最多 256 個字元。",
        Reason::Weak(WeakPassword::TooShort { min_chars }) => return format!("至少須有 {min_chars} 個字元。"),
        Reason::Weak(WeakPassword::Common) => "這是最常見的密碼之一，會最先被嘗試。",
        Reason::Weak(WeakPassword::Contextual) => "不可與您的使用者名稱、電子郵件或本服務名稱相同。",
    }
    .to_owned()
}
