using GptFunctions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions.Pages;

/// <summary>Whose service this is, as every page shows it. Made once.</summary>
internal sealed class Brand
{
    public Brand(IOptions<BrandSettings> settings)
    {
        var brand = settings.Value;
        Name = brand.Name is null ? (Name?)null : brand.Name;
        Logo = brand.Logo is null || !brand.IsLogoServed ? null : BrandLogo.Read(brand.Logo).Logo;
        (PrivacyUrl, TermsUrl, SupportUrl) = (brand.PrivacyUrl, brand.TermsUrl, brand.SupportUrl);
        Sheet = PageStyle.Sheet + BrandColors.Read(brand.Color).Colors?.Sheet;
        var style = "sha256-" + Convert.ToBase64String(Sha256.Of(Sheet));
        Sources = $"default-src 'none'; img-src {(Logo is null ? "" : "'self' ")}data:; style-src '{style}'";
    }

    /// <summary>Null: the service has no name.</summary>
    public Name? Name { get; }
    public BrandLogo? Logo { get; }
    public string? PrivacyUrl { get; }
    public string? TermsUrl { get; }
    public string? SupportUrl { get; }

    /// <summary>The style sheet of all pages, in its colour.</summary>
    public string Sheet { get; }

    /// <summary>What all pages may load, as a Content-Security-Policy says it: this very sheet, and the logo.</summary>
    public string Sources { get; }
}
