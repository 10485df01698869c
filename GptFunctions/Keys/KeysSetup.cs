using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Keys;

internal static class KeysSetup
{
    /// <summary>Which signing key signs, agreed by all replicas; and the commands to turn them.</summary>
    public static void AddKeys(this IHostApplicationBuilder builder)
    {
        builder.Services.AddSingleton<KeyStore>().AddSingleton<KeyService>();
        builder.Services.AddSingleton<ICheck, SigningKeyCheck>();
        if (FunctionCatalog.IsEnabled(builder.Configuration, FunctionNames.Token)) // where the key set is served, and tokens are signed
        {
            builder.Services.AddHostedService<KeyPublication>();
        }
    }
}
