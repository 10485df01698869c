using GptFunctions.Countdowns;
using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Verification;

internal static class VerificationSetup
{
    /// <summary>What hangs on a purchase: the order is verified in time, or its refund is due and another system is told so.</summary>
    public static void AddVerification(this IHostApplicationBuilder builder)
    {
        builder.AddSettings<VerificationSettings>();
        builder.AddSettings<CallbackKeys>();
        builder.AddCountdown<VerificationExpiry>();
        builder.AddCountdown<VerificationReminder>();
        builder.Services.AddSingleton<CallbackStore>().AddSingleton<CallbackListStore>().AddSingleton<CallbackService>().AddSingleton<CallbackDestination>();
        builder.Services.AddSingleton<IOutsideProvider>(services => services.GetRequiredService<CallbackDestination>());
        builder.Services.AddSingleton<ICheck, CallbackCheck>();
    }
}
