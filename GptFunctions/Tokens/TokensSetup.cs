using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Tokens;

internal static class TokensSetup
{
    /// <summary>Signing keys, the access tokens that they sign, and the resources and scopes that these are for.</summary>
    public static void AddTokens(this IHostApplicationBuilder builder)
    {
        builder.AddSettings<TokenSettings>();
        builder.AddSettings<TokenKeys>();
        builder.Services.AddSingleton<SigningKeys>().AddSingleton<UsedGenerations>().AddSingleton<AccessTokens>().AddSingleton<ScopeCatalog>()
            .AddSingleton<ProtectedResources>();
    }
}
