using GptFunctions.Gateway;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.Pages;
using GptFunctions.Tokens;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions.Development;

internal static class DevelopmentSetup
{
    /// <summary>
    /// What makes a first look possible without Clerk, an API or a setting. Nothing of it is registered outside of Development; its functions, which the
    /// Functions host finds by their attributes, answer 404 there. After the features whose parts it replaces.
    /// </summary>
    public static void AddDevelopment(this IHostApplicationBuilder builder)
    {
        if (!builder.Environment.IsDevelopment())
        {
            return;
        }

        DevelopmentDefaults.Add(builder);
        builder.Services.AddSingleton<ISignIn>(services => services.GetRequiredService<IOptions<ClerkSettings>>().Value.Issuer is null
            ? new DevelopmentSignIn()
            : ActivatorUtilities.CreateInstance<OpenIdSignIn>(services));
        builder.Services.AddSingleton<RecentRequests>().AddSingleton<IFrontPage, DevelopmentFrontPage>();
        builder.Services.AddSingleton(services => new DefaultRoutes(
            () => DemoUpstream.Load(services.GetRequiredService<IConfiguration>(), services.GetRequiredService<ScopeCatalog>())));
    }
}
