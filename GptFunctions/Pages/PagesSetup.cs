using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Pages;

internal static class PagesSetup
{
    /// <summary>What every page for people is made of: frame, style, how it is sent.</summary>
    public static void AddPages(this IHostApplicationBuilder builder) => builder.Services.AddRazorComponents();
}
