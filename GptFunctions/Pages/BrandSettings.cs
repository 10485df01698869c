using GptFunctions.Hosting;

namespace GptFunctions.Pages;

/// <summary>Whose service this is: people must recognise the company that they have their account with. Without any of it pages are neutral.</summary>
internal sealed class BrandSettings : ISettings
{
    private const string PageUrl = "a URL, for example https://www.example.com/privacy";

    [Setting("BRAND_NAME", Meaning = "the company or service that people have their account with, as they know it: \"your Example account\"",
        Default = "none: \"your account\"")]
    public string? Name { get; set; }

    [Setting("BRAND_COLOR", Meaning = "colour of buttons and marks on pages, `#rrggbb`; a second one, after a space, for dark mode (else a lighter tone of "
        + "the "
        + "first). Its contrast is checked at the start (WCAG AA, 4.5:1)", Default = "blue")]
    public string? Color { get; set; }

    [
        Setting(
            "BRAND_LOGO",
            Meaning = "path of a PNG, JPEG, WebP or SVG file, 256 KB at most: shown above each page, served at `/brand/logo`. In dark mode on white",
        Default = "none: the name")]
    public string? Logo { get; set; }

    [Setting("BRAND_PRIVACY_URL", Schemes = "https http", MustBe = PageUrl, Meaning = "your privacy statement: a link below each page")]
    public string? PrivacyUrl { get; set; }

    [Setting("BRAND_TERMS_URL", Schemes = "https http", MustBe = PageUrl, Meaning = "your terms: a link below each page")]
    public string? TermsUrl { get; set; }

    [Setting("BRAND_SUPPORT_URL", Schemes = "https http mailto", MustBe = "a URL, for example https://www.example.com/help or mailto:help@example.com",
        Meaning = "where people get help, `mailto:` too: a link below each page, and on pages that say that something went wrong")]
    public string? SupportUrl { get; set; }

    /// <summary>This process sends the logo; the others need not have its file.</summary>
    internal bool IsLogoServed { get; init; } = true;

    public IEnumerable<string> Problems(bool isProduction)
    {
        if (Name is not null && DisplayText.ProblemWithName("BRAND_NAME", Name) is { } wrongName)
        {
            yield return wrongName;
        }

        if (BrandColors.Read(Color).Problem is { } wrongColor)
        {
            yield return wrongColor;
        }

        if (Logo is not null && IsLogoServed && BrandLogo.Read(Logo).Problem is { } wrongLogo)
        {
            yield return wrongLogo;
        }
    }
}
