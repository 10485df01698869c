using GptFunctions.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Pages;

internal static class PagesSetup
{
    /// <summary>What every page for people is made of: frame, style, brand, languages, and how it is sent.</summary>
    public static void AddPages(this IHostApplicationBuilder builder)
    {
        builder.AddSettings(services => new BrandSettings
        {
            IsLogoServed = FunctionCatalog.IsEnabled(services.GetRequiredService<IConfiguration>(), "BrandLogo"),
        });
        builder.Services.AddRazorComponents();
        builder.Services.AddSingleton<Brand>().AddSingleton<IFrontPage, PublicFrontPage>();
    }
}
